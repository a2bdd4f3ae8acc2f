// Package plugintool is what `dunlin plugin` does for the authors of plugins: it
// scaffolds, builds, tests, measures, checks, signs and installs them. Artefacts
// run in the broker's real plugin hosts, with services that only take notes. It
// refuses to know a running broker.
package plugintool
