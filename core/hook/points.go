package hook

// Callback types. Intercepting callbacks write their verdict into the event and
// run in chain order; a slice holds what one socket read brought, so that a
// plugin is called once for all of it. Observing callbacks must not block and
// must not change the event.
type (
	// Intercept decides about one event.
	Intercept[E any] func(e *E)
	// InterceptMany decides about the events of one socket read. It must skip
	// events that an earlier callback has decided.
	InterceptMany[E any] func(es []E)
	// Observe is told of what has happened.
	Observe[E any] func(e *E)
)

// Points is every hook point of the broker. Adding one is adding a field here,
// an event struct, one call, and a row in docs/hookpoints.md.
type Points struct {
	ClientConnect      Point[Intercept[ConnectEvent]]     // client.connect
	ClientAuthenticate Point[Intercept[AuthEvent]]        // client.authenticate, client.enhanced_authenticate
	ClientCheckACL     Point[InterceptMany[ACLEvent]]     // client.check_acl
	ClientSubscribe    Point[Intercept[SubscribeEvent]]   // client.subscribe
	ClientUnsubscribe  Point[Intercept[UnsubscribeEvent]] // client.unsubscribe
	MessagePublish     Point[InterceptMany[PublishEvent]] // message.publish
	MessageWill        Point[InterceptMany[PublishEvent]] // a will, before message.publish
	MessageDeliver     Point[InterceptMany[DeliverEvent]] // message.delivered as a fold; off unless a plugin asks for it

	ClientConnack       Point[Observe[ConnackEvent]]      // client.connack
	ClientCheckedACL    Point[Observe[ACLEvent]]          // client.check_acl_complete
	ClientConnected     Point[Observe[ConnectionEvent]]   // client.connected
	ClientDisconnected  Point[Observe[ConnectionEvent]]   // client.disconnected
	SessionCreated      Point[Observe[SessionEvent]]      // session.created
	SessionResumed      Point[Observe[SessionEvent]]      // session.resumed
	SessionTakenOver    Point[Observe[SessionEvent]]      // session.takeovered
	SessionDiscarded    Point[Observe[SessionEvent]]      // session.discarded
	SessionExpired      Point[Observe[SessionEvent]]      // session.terminated: its expiry interval passed, or it ended with its connection
	SessionSubscribed   Point[Observe[SubscriptionEvent]] // session.subscribed
	SessionUnsubscribed Point[Observe[SubscriptionEvent]] // session.unsubscribed
	MessagePublished    Point[Observe[MessageEvent]]      // a message was routed
	MessageDelivered    Point[Observe[MessageEvent]]      // message.delivered
	MessageAcked        Point[Observe[MessageEvent]]      // message.acked
	MessageDropped      Point[Observe[MessageEvent]]      // message.dropped, delivery.dropped

	// MessageConsume keeps messages for plugins of the class consume. It never waits.
	MessageConsume Point[InterceptMany[ConsumeEvent]] // before the acknowledgement

	// The provider of retained messages: at most one plugin. Its presence sets
	// Retain Available.
	RetainedStore Point[InterceptMany[RetainEvent]] // before the acknowledgement of a PUBLISH with RETAIN
	RetainedRead  Point[Intercept[RetainedReadEvent]]
}

// Blocking tells whether any callback that runs on a client's own path may wait.
func (p *Points) Blocking() bool {
	return p.ClientConnect.Blocking() || p.ClientAuthenticate.Blocking() || p.ClientCheckACL.Blocking() ||
		p.ClientSubscribe.Blocking() || p.ClientUnsubscribe.Blocking() || p.MessagePublish.Blocking() ||
		p.MessageWill.Blocking() || p.MessageDeliver.Blocking() ||
		p.RetainedStore.Blocking() || p.RetainedRead.Blocking()
}
