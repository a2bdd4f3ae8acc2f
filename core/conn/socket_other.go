//go:build !linux

package conn

import "errors"

// errAgain is never returned here.
var errAgain = errors.New("nothing has arrived")

func readSocket(int32, []byte) (int, error) { return 0, errNoPoll }

func writeSocket(int32, []byte) (int, error) { return 0, errNoPoll }

func shutSocket(int32) {}

func closeSocket(int32) {}
