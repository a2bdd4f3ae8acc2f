// Package contract is version 1 of what a plugin and the broker say to each
// other: the frame (records with numbered slots), the verdict block, the names
// of the WASM ABI, the host calls and the control messages. The same bytes go
// into a guest's memory and through a process plugin's stream.
//
// The specification in words is docs/plugin-contract.md; this package is its
// Go form and both hosts and the SDK stand on it. It imports the standard
// library only, starts nothing, and never panics on bytes: whatever a reader is
// given, a wrong offset reads as an absent slot or an error.
//
// All numbers are little-endian. Bytes that came out of an MQTT packet
// (properties, filter lists) stay in the wire form of MQTT, which is big-endian.
package contract
