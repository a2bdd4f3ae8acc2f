package config

// Difference is one key that a new configuration changes. Secrets are ***.
type Difference struct {
	Key      string
	From, To string // "": the key did not exist, or does not exist any more, or is empty
	Change   Change
}

// Changes lists what differs between two configurations: first the keys of now,
// then those that only old has.
func Changes(old, now *Config) []Difference {
	was := map[string]Value{}
	for _, v := range old.values {
		was[v.Key] = v
	}
	var ds []Difference
	for _, v := range now.values {
		w, there := was[v.Key]
		delete(was, v.Key)
		if !there || v.differs(&w) {
			ds = append(ds, Difference{v.Key, w.Text, v.Text, v.Change})
		}
	}
	for _, v := range old.values {
		if _, gone := was[v.Key]; gone {
			ds = append(ds, Difference{v.Key, v.Text, "", v.Change})
		}
	}
	return ds
}

// Keeping is c with what needs a restart as old has it: what a running node
// that was started with old can be after a reload of c.
func (c *Config) Keeping(old *Config) *Config {
	k := *c
	k.Node, k.Disk, k.Plugins = old.Node, old.Disk, old.Plugins
	k.Log = old.Log
	k.Log.Level, k.Log.RotateSize, k.Log.RotateCount = c.Log.Level, c.Log.RotateSize, c.Log.RotateCount
	k.Sys.Node, k.Alarms.Node = old.Node.Name, old.Node.Name
	was := map[string]Value{}
	for _, v := range old.values {
		was[v.Key] = v
	}
	k.values = c.Values()
	for i, v := range k.values {
		if v.Change == ChangeRestart {
			k.values[i] = was[v.Key]
		}
	}
	return &k
}
