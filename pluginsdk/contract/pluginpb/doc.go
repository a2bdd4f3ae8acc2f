// Package pluginpb is the gRPC envelope of process plugins, generated from
// plugin.proto. It owns no behaviour.
package pluginpb

// With protoc-gen-go and protoc-gen-go-grpc of go.mod's versions on the PATH:
//
//go:generate protoc -I . --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative plugin.proto
