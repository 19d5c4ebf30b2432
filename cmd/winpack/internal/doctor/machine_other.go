//go:build !linux && !darwin && !windows

package doctor

import "errors"

func windowsHost() (version, isolation string) { return "", "" }

func freeBytes(string) (int64, error) { return 0, errors.ErrUnsupported }
