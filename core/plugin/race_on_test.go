//go:build race

package plugin

// raced: the race detector makes sync.Pool forget at random.
const raced = true
