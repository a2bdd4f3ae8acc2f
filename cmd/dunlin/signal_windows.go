package main

// onReopen does nothing: there is no SIGUSR1 here.
func onReopen(func()) (end func()) { return func() {} }

// monotonic is for systemd, which is not here.
func monotonic() int64 { return 0 }
