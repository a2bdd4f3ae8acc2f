package server

// ballastSize is how far the garbage collector's heap goal is raised. A broker's
// live heap is small while messages make garbage at hundreds of MB a second:
// with Go's default goal (twice the live heap, at least 4 MB) it would collect
// hundreds of times a second. 32 MB make that tens of times.
const ballastSize = 32 << 20

// newBallast returns memory that counts as live heap and is never touched, so
// that it takes address space and no RAM. GOGC and GOMEMLIMIT still hold: a
// small GOMEMLIMIT makes the collector run sooner.
func newBallast() []byte { return make([]byte, ballastSize) }
