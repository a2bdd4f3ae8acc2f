package contract

// Match tells whether the plain topic filter matches the topic name; both are
// valid. A filter that begins with a wildcard does not match a name that begins
// with $ [MQTT-4.7.2-1]. A filter given as name is compared as if it were one.
// It takes one pass and no memory.
func Match[N ~string | ~[]byte](filter string, name N) bool {
	if len(name) > 0 && name[0] == '$' && filter != "" && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	f, n := 0, 0
	for { // both stand at the start of a level
		if f < len(filter) && filter[f] == '#' {
			return true
		}
		any := f < len(filter) && filter[f] == '+'
		if any {
			f++
		}
		for n < len(name) && name[n] != '/' {
			if !any {
				if f == len(filter) || filter[f] != name[n] {
					return false
				}
				f++
			}
			n++
		}
		switch {
		case f == len(filter):
			return n == len(name)
		case filter[f] != '/':
			return false
		case n == len(name):
			return filter[f:] == "/#" // # includes the parent (5.0 §4.7.1.2)
		}
		f++
		n++
	}
}
