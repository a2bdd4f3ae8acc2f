//go:build !race

package channel_test

const raced = false
