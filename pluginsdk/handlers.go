package sdk

// A plugin implements Configurer if it has settings. It is called once, before
// any event, with the plugin's configuration as a JSON object ({} if there is
// none), which has been validated against the plugin's schema. An error refuses
// the load; its text is for the operator.
type Configurer interface {
	Configure(config []byte) error
}

// A process implements Reconfigurer to take a changed configuration over while it
// runs, instead of being replaced by a new process with each reload. It is called
// between two frames and must not wait long: frames wait for it. The bytes are as
// those of Configure. An error refuses the configuration, with its text for the
// operator, and must leave everything as it was. A module is not asked: each reload
// makes a new instance of it.
type Reconfigurer interface {
	Reconfigure(config []byte) error
}

// A plugin implements Stateful to carry state over a reload: SaveState is asked
// of the old version, RestoreState given to the new one after Configure.
type Stateful interface {
	SaveState() []byte
	RestoreState(state []byte) error
}

// Each of the following is one hook. Implementing it is how a plugin asks for
// the hook; plugin.toml must name the same ones. docs/hookpoints.md tells when
// each is called and what a verdict may do.
type (
	// ConnectHandler decides about a CONNECT before any check.
	ConnectHandler interface {
		OnConnect(e *ConnectEvent) Verdict
	}
	// AuthenticateHandler says who a client is.
	AuthenticateHandler interface {
		OnAuthenticate(e *AuthEvent) Verdict
	}
	// AuthContinueHandler goes on with an exchange that OnAuthenticate continued.
	AuthContinueHandler interface {
		OnAuthContinue(e *AuthEvent) Verdict
	}
	// ACLHandler says whether a client may publish or subscribe.
	ACLHandler interface{ OnACL(e *ACLEvent) Verdict }
	// SubscribeHandler sees one SUBSCRIBE with all its filters.
	SubscribeHandler interface {
		OnSubscribe(e *FiltersEvent) Verdict
	}
	// UnsubscribeHandler sees one UNSUBSCRIBE with all its filters.
	UnsubscribeHandler interface {
		OnUnsubscribe(e *FiltersEvent) Verdict
	}
	// PublishHandler sees each message before it is routed.
	PublishHandler interface {
		OnPublish(e *MessageEvent) Verdict
	}
	// WillHandler sees a will before it is published.
	WillHandler interface {
		OnWill(e *MessageEvent) Verdict
	}
	// DeliverHandler sees each message before it goes to one subscriber.
	DeliverHandler interface {
		OnDeliver(e *MessageEvent) Verdict
	}
	// MessageHandler gets each message of its filters from a log, in order, again
	// until it is done: over faults of the plugin, reloads and restarts of the broker.
	// Next says that the message is done, Deny (with Text for the log) that it is not:
	// it comes again, and with it those behind it. A message may come more than once.
	MessageHandler interface {
		OnMessage(e *MessageEvent) Verdict
	}
	// RetainedStoreHandler is the first half of a provider of retained messages:
	// each PUBLISH with RETAIN, before its acknowledgement.
	RetainedStoreHandler interface {
		OnRetainedStore(e *RetainEvent) Verdict
	}
	// RetainedReadHandler is the other half: each new subscription.
	RetainedReadHandler interface {
		OnRetainedRead(e *RetainedReadEvent) Verdict
	}
)

// A plugin implements FrameHandler to work in batches: AfterFrame comes when the
// handlers have seen all events of a frame, before it is answered, the place to write
// in one go what they have taken. With an error none of the frame's messages
// (OnMessage) is done, whatever was answered, and what the answers publish is not
// published; for other events it is only logged.
type FrameHandler interface{ AfterFrame() error }

// The observing hooks: told afterwards, no verdict.
type (
	// ConnectedHandler is told of a client that has connected.
	ConnectedHandler interface{ OnConnected(e *ClientEvent) }
	// DisconnectedHandler is told of a client that is gone.
	DisconnectedHandler interface{ OnDisconnected(e *DisconnectEvent) }
	// SubscribedHandler is told of a subscription made.
	SubscribedHandler interface{ OnSubscribed(e *FilterEvent) }
	// UnsubscribedHandler is told of a subscription removed.
	UnsubscribedHandler interface{ OnUnsubscribed(e *FilterEvent) }
	// SessionCreatedHandler is told of a new session.
	SessionCreatedHandler interface{ OnSessionCreated(e *ClientEvent) }
	// SessionResumedHandler is told of a session that a new connection took up.
	SessionResumedHandler interface{ OnSessionResumed(e *ClientEvent) }
	// SessionTakenOverHandler is told of a connection that lost its session to another.
	SessionTakenOverHandler interface{ OnSessionTakenOver(e *ClientEvent) }
	// SessionExpiredHandler is told of a session that ended.
	SessionExpiredHandler interface{ OnSessionExpired(e *ClientEvent) }
	// SessionDiscardedHandler is told of a session that a clean start threw away.
	SessionDiscardedHandler interface{ OnSessionDiscarded(e *ClientEvent) }
	// PublishedHandler is told of each message that was routed.
	PublishedHandler interface{ OnPublished(e *MessageEvent) }
	// DeliveredHandler is told of each message sent to a subscriber.
	DeliveredHandler interface{ OnDelivered(e *MessageEvent) }
	// AckedHandler is told of each message that a subscriber acknowledged.
	AckedHandler interface{ OnAcked(e *MessageEvent) }
	// ConnackHandler is told how a CONNECT was answered.
	ConnackHandler interface{ OnConnack(e *ConnackEvent) }
	// ACLCheckedHandler is told what was decided about a topic and a client, from the
	// memory of earlier answers too.
	ACLCheckedHandler interface{ OnACLChecked(e *ACLCheckedEvent) }
	// DroppedHandler is told of each message that was dropped.
	DroppedHandler interface{ OnDropped(e *MessageEvent) }
)
