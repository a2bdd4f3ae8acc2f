package contract

// The reason codes that a Deny may carry [MQTT-2.4]. Which of them a hook allows
// is [Hook.AllowsReason].
const (
	ReasonUnspecifiedError       byte = 0x80
	ReasonMalformedPacket        byte = 0x81
	ReasonProtocolError          byte = 0x82
	ReasonImplementationSpecific byte = 0x83
	ReasonUnsupportedVersion     byte = 0x84
	ReasonClientIDNotValid       byte = 0x85
	ReasonBadUserOrPassword      byte = 0x86
	ReasonNotAuthorized          byte = 0x87
	ReasonServerUnavailable      byte = 0x88
	ReasonServerBusy             byte = 0x89
	ReasonBanned                 byte = 0x8A
	ReasonBadAuthMethod          byte = 0x8C
	ReasonTopicFilterInvalid     byte = 0x8F
	ReasonTopicNameInvalid       byte = 0x90
	ReasonPacketTooLarge         byte = 0x95
	ReasonQuotaExceeded          byte = 0x97
	ReasonPayloadFormatInvalid   byte = 0x99
	ReasonRetainNotSupported     byte = 0x9A
	ReasonQoSNotSupported        byte = 0x9B
	ReasonUseAnotherServer       byte = 0x9C
	ReasonServerMoved            byte = 0x9D
	ReasonSharedNotSupported     byte = 0x9E
	ReasonRateExceeded           byte = 0x9F
	ReasonSubIDsNotSupported     byte = 0xA1
	ReasonWildcardsNotSupported  byte = 0xA2
)

// The bits of one entry of a permission list; see [AppendPermission].
const (
	PermitPublish   byte = permPublish
	PermitSubscribe byte = permSubscribe
	PermitAllow     byte = permAllow // else deny
	PermitRetain    byte = permRetain
	PermitQoS1      byte = 1 << permQoSShift
	PermitQoS2      byte = 2 << permQoSShift
	PermitExact     byte = permExact
	PermitAny       byte = permAny
)

// AllowsAction tells whether a verdict about h may have action a.
func (h Hook) AllowsAction(a Action) bool {
	i := h.info()
	return i != nil && a < numActions && (a == Next || i.actions&(1<<a) != 0)
}

// AllowsReason tells whether a Deny about h may have reason code c.
func (h Hook) AllowsReason(c byte) bool {
	i := h.info()
	return i != nil && i.reasons.has(c)
}

// AllowsExt tells whether a verdict about h may have extension x.
func (h Hook) AllowsExt(x Ext) bool {
	i := h.info()
	return i != nil && x < numExts && i.exts&(1<<x) != 0
}
