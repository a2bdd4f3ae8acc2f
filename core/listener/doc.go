// Package listener accepts connections on tcp, ssl, ws and wss, does their TLS
// handshakes and WebSocket upgrades away from the accept loop, and hands over
// streams that are ready for MQTT bytes. It bounds what strangers may cost:
// connections, their rate, the time and the number of pending handshakes.
//
// It refuses to know MQTT: no packet is parsed here, and no client is
// authenticated beyond its certificate.
package listener
