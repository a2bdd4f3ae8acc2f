// Package load makes MQTT load and measures what becomes of it: connections,
// messages, latency, what was lost or came out of order, and the processor time
// and memory of the broker. It is `dunlin bench`, for any broker.
//
// Clients belong to workers. A worker is a thread with one epoll set on Linux; a
// connection by TLS or WebSocket, and every connection on another system, has two
// goroutines that take the worker's lock. What a client does is the same for both.
//
// It refuses to know this broker: of its code it uses the codec only. It loads
// nobody else's broker unless it is told to.
package load
