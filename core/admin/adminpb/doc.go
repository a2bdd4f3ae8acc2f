// Package adminpb is the admin service in protobuf: messages, client and server
// generated from admin.proto by `go generate`. It holds nothing written by hand.
package adminpb

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative admin.proto
