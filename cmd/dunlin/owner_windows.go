package main

import (
	"io/fs"
	"os"
)

// keepOwner does nothing: the directory's rules hold for a new file.
func keepOwner(*os.File, fs.FileInfo) {}
