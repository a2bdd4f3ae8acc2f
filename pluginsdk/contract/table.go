package contract

var (
	clientSlots = []string{
		"client_id", "username", "peer", "listener", "zone", "protocol", "props", "session_expiry",
		"connected_at", "common_name", "dn", "principal", "tenant", "local",
	}
	connectSlots    = extend(clientSlots, "will_topic", "will_payload", "will_props")
	authSlots       = extend(clientSlots, "password", "auth_method", "auth_data", "auth_state", "will_topic")
	disconnectSlots = extend(clientSlots, "reason")
	connackSlots    = extend(clientSlots, "reason_code")
	messageSlots    = []string{
		"client_id", "username", "peer", "listener", "topic", "payload", "props", "expiry", "from", "reason", "message_id",
	}
	aclSlots     = []string{"client_id", "username", "peer", "listener", "topic", "principal", "tenant", "common_name", "dn", "local"}
	filtersSlots = []string{"client_id", "username", "peer", "listener", "filters", "props"}
	filterSlots  = []string{"client_id", "username", "peer", "listener", "filter", "subscription_id"}
)

// Extensions by kind of verdict.
const (
	extsMessage = 1<<ExtText | 1<<ExtTopic | 1<<ExtPayload | 1<<ExtProps | 1<<ExtFlags | 1<<ExtExpiry |
		1<<ExtPublishes | 1<<ExtThrottle
	extsPending = 1 << ExtPending
	extsAuth    = 1<<ExtText | 1<<ExtPrincipal | 1<<ExtTenant | 1<<ExtAttributes | 1<<ExtPermissions |
		1<<ExtExpiresAt | 1<<ExtReply | 1<<ExtState
	extsConnect   = 1<<ExtText | 1<<ExtLimits | 1<<ExtClientID | 1<<ExtThrottle | 1<<ExtSubscriptions
	extsSubscribe = 1<<ExtText | 1<<ExtCodes | 1<<ExtFilters
)

// hooks is the contract in one table: index = hook number.
var hooks = [MaxHook + 1]hookInfo{
	HookConnect: {"connect", Intercept, connectSlots, actions(Next, Allow, Deny, Pending), extsConnect | extsPending, connackReasons},
	HookAuthenticate: {"authenticate", Intercept, authSlots, actions(Next, Allow, Deny, Continue, Pending),
		extsAuth | extsPending, connackReasons},
	HookAuthContinue: {"auth_continue", Intercept, authSlots, actions(Next, Allow, Deny, Continue, Pending),
		extsAuth | extsPending, connackReasons},
	HookACL: {"acl", Intercept, aclSlots, actions(Next, Allow, Deny, Pending),
		1<<ExtText | 1<<ExtCacheFilter | 1<<ExtPermissions | extsPending, aclReasons},
	HookSubscribe: {"subscribe", Intercept, filtersSlots, actions(Next, Allow, Deny, Rewrite, Pending),
		extsSubscribe | extsPending, subackReasons},
	HookUnsubscribe: {"unsubscribe", Intercept, filtersSlots, actions(Next, Allow, Deny, Rewrite),
		extsSubscribe, unsubackReasons},
	HookPublish: {"publish", Intercept, messageSlots, actions(Next, Allow, Deny, Drop, Rewrite, Pending),
		extsMessage | extsPending, pubackReasons},
	HookWill: {"will", Intercept, messageSlots, actions(Next, Allow, Deny, Drop, Rewrite), extsMessage, pubackReasons},
	HookDeliver: {"deliver", Intercept, messageSlots, actions(Next, Allow, Drop, Rewrite),
		extsMessage &^ (1<<ExtPublishes | 1<<ExtThrottle), reasonSet{}},

	HookConnected:        {"connected", Observe, clientSlots, 0, 0, reasonSet{}},
	HookDisconnected:     {"disconnected", Observe, disconnectSlots, 0, 0, reasonSet{}},
	HookSubscribed:       {"subscribed", Observe, filterSlots, 0, 0, reasonSet{}},
	HookUnsubscribed:     {"unsubscribed", Observe, filterSlots, 0, 0, reasonSet{}},
	HookSessionCreated:   {"session_created", Observe, clientSlots, 0, 0, reasonSet{}},
	HookSessionResumed:   {"session_resumed", Observe, clientSlots, 0, 0, reasonSet{}},
	HookSessionTakenOver: {"session_takenover", Observe, clientSlots, 0, 0, reasonSet{}},
	HookSessionExpired:   {"session_expired", Observe, clientSlots, 0, 0, reasonSet{}},
	HookSessionDiscarded: {"session_discarded", Observe, clientSlots, 0, 0, reasonSet{}},
	HookPublished:        {"published", Observe, messageSlots, 0, 0, reasonSet{}},
	HookDelivered:        {"delivered", Observe, messageSlots, 0, 0, reasonSet{}},
	HookAcked:            {"acked", Observe, messageSlots, 0, 0, reasonSet{}},
	HookDropped:          {"dropped", Observe, messageSlots, 0, 0, reasonSet{}},
	HookConnack:          {"connack", Observe, connackSlots, 0, 0, reasonSet{}},
	HookACLChecked:       {"acl_checked", Observe, aclSlots, 0, 0, reasonSet{}},

	HookRetainedStore: {"retained_store", Provide, messageSlots, actions(Next, Allow, Deny, Drop), 1 << ExtText, pubackReasons},
	HookRetainedRead:  {"retained_read", Provide, filterSlots, actions(Next, Allow), 0, reasonSet{}},

	HookMessage: {"message", Consume, messageSlots, actions(Next, Allow, Deny), 1<<ExtText | 1<<ExtPublishes, reasonSet{}},

	HookTimer:        {"timer", Answer, []string{}, actions(Next), 1 << ExtPublishes, reasonSet{}},
	HookHTTPResponse: {"http_response", Answer, []string{"id", "error", "headers", "body"}, actions(Next), 1 << ExtPublishes, reasonSet{}},
	HookHashResult:   {"hash_result", Answer, []string{"id", "error"}, actions(Next), 1 << ExtPublishes, reasonSet{}},
}

func extend(base []string, more ...string) []string {
	return append(append(make([]string, 0, len(base)+len(more)), base...), more...)
}

// reasonSet is a set of MQTT reason codes.
type reasonSet [4]uint64

func reasons(codes ...byte) (s reasonSet) {
	for _, c := range codes {
		s[c>>6] |= 1 << (c & 63)
	}
	return s
}

func (s *reasonSet) has(c byte) bool { return s[c>>6]&(1<<(c&63)) != 0 }

func (s reasonSet) or(t reasonSet) reasonSet {
	for i := range s {
		s[i] |= t[i]
	}
	return s
}

// The reason codes of refusal that each acknowledgement may carry.
var (
	// [MQTT-3.2.2.2] CONNACK.
	connackReasons = reasons(0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C,
		0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F)
	pubackReasons   = reasons(0x80, 0x83, 0x87, 0x90, 0x97, 0x99)             // [MQTT-3.4.2.1] without 0x91
	subackReasons   = reasons(0x80, 0x83, 0x87, 0x8F, 0x97, 0x9E, 0xA1, 0xA2) // [MQTT-3.9.3] without 0x91
	unsubackReasons = reasons(0x80, 0x83, 0x87, 0x8F)                         // [MQTT-3.11.3] without 0x91
	aclReasons      = pubackReasons.or(subackReasons)
)
