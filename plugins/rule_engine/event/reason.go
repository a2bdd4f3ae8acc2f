package event

import "strconv"

// reasons are the reason codes of CONNACK in EMQ X 4's words (emqx_reason_codes).
var reasons = map[byte]string{
	0x00: "success", 0x80: "unspecified_error", 0x81: "malformed_Packet", 0x82: "protocol_error", 0x83: "implementation_specific_error",
	0x84: "unsupported_protocol_version", 0x85: "client_identifier_not_valid", 0x86: "bad_username_or_password", 0x87: "not_authorized",
	0x88: "server_unavailable", 0x89: "server_busy", 0x8A: "banned", 0x8C: "bad_authentication_method", 0x90: "topic_name_invalid",
	0x95: "packet_too_large", 0x97: "quota_exceeded", 0x99: "payload_format_invalid", 0x9A: "retain_not_supported", 0x9B: "qos_not_supported",
	0x9C: "use_another_server", 0x9D: "server_moved", 0x9F: "connection_rate_exceeded",
}

// reasonWord is the word of a code; its number where EMQ X has none.
func reasonWord(code byte) string {
	if w, ok := reasons[code]; ok {
		return w
	}
	return strconv.Itoa(int(code))
}
