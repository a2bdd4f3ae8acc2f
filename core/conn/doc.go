// Package conn owns the bytes of client connections: who may run a connection's
// machine now, its socket, its timer, the bytes that the socket did not take and
// the part of a packet that has not arrived yet.
//
// A connection is an actor. Whoever signals an idle connection owns its turn and
// runs it, at once or at the end of its batch; what is signalled meanwhile is
// picked up by the running turn. So a publisher runs its subscribers' turns
// itself, once for all messages of its batch, without a goroutine or a wake-up.
//
// On Linux a connection is a descriptor in one of the engine's epoll sets and
// holds neither goroutine nor buffer while idle; TLS and WebSocket are layers
// above it that never block. On other systems a connection has a reading goroutine
// behind the same Machine.
//
// While there is little to do one event loop runs for all of them.
//
// It refuses to know MQTT: packets, sessions and policies are the Machine's.
package conn
