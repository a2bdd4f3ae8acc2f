// Package sdk is what a Dunlin plugin imports. A plugin is a type with a method
// for each hook it wants (OnACL, OnPublish, OnConnected ...); the same source
// becomes a WASM module (GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared)
// or a process (go build).
//
//	type auth struct{}
//
//	func (a *auth) OnACL(e *sdk.ACLEvent) sdk.Verdict {
//		if strings.HasPrefix(e.Topic(), "u/"+e.Username()+"/") {
//			return sdk.Verdict{Action: sdk.Allow}
//		}
//		return sdk.Verdict{} // Next: not mine
//	}
//
//	var _ = sdk.Register(&auth{}) // a WASM reactor never runs main
//
//	func main() { sdk.Main() }
//
// Events are views of the frame that the broker handed over: they and the byte
// slices they return are valid until the handler returns. Accessors that return
// a string copy (about 1 µs an event in a WASM guest, which also makes garbage);
// those that end in Bytes do not.
//
// Handlers of one instance are called one after another, in the order of the
// events. A WASM guest must not leave goroutines running when a handler
// returns: nothing runs between calls.
//
// The package owns the plugin's side of docs/plugin-contract.md. It refuses to
// retry, cache or time anything: that is the broker's.
package sdk
