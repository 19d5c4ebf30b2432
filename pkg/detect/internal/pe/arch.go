package pe

// Architecture is what a file runs as.
type Architecture struct {
	// Name is "anycpu", "x86", "x64", "arm64", or empty for another machine.
	Name string
	// Prefer32 is set for IL that runs as a 32-bit process where it can.
	Prefer32 bool
	// Mixed is set for a managed file that is neither IL only nor ReadyToRun,
	// as C++/CLI makes it.
	Mixed bool
	// OS is the system that a ReadyToRun file was compiled for: "windows",
	// "linux", "apple", "freebsd". Empty for other files.
	OS string
	// Span is what says it: the machine or, of IL, the CLI header with its flags.
	Span
	// Machine is where the machine stands, on which the meaning of the flags depends.
	Machine Span
}

// machineOS are the codes that ReadyToRun files for other systems have XORed
// into their machine (coreclr, pedecoder.h).
func machineOS(code uint16) string {
	switch code {
	case 0:
		return "windows"
	case 0x7b79:
		return "linux"
	case 0x4644:
		return "apple"
	case 0xadc4:
		return "freebsd"
	}
	return ""
}

func machineName(m uint16) string {
	switch m {
	case MachineI386:
		return "x86"
	case MachineAMD64:
		return "x64"
	case MachineARM64:
		return "arm64"
	}
	return ""
}

// Architecture reads the machine and, of managed files, the CLI flags: IL only
// code in a PE32 file for I386 runs on any processor unless it requires 32 bits
// (CorFlags documentation). 32BITPREFERRED stands together with 32BITREQUIRED
// and then means prefer, not require. The error says why the CLI header of a
// managed file could not be read; the machine's name is given all the same.
func (f *File) Architecture() (Architecture, error) {
	native := Architecture{Name: machineName(f.Machine), Span: f.MachineSpan, Machine: f.MachineSpan}
	if !f.HasCLR() {
		return native, nil
	}
	c, err := f.header()
	if err != nil {
		return native, err
	}
	native.Span = c.Span
	if c.ReadyToRun {
		for _, code := range []uint16{0, 0x7b79, 0x4644, 0xadc4} {
			if name := machineName(f.Machine ^ code); name != "" {
				native.Name, native.OS = name, machineOS(code)
				break
			}
		}
		return native, nil
	}
	if c.Flags&FlagILOnly == 0 {
		native.Mixed = true
		return native, nil
	}
	if f.PE32Plus || f.Machine != MachineI386 {
		return native, nil
	}
	a := Architecture{Name: "anycpu", Span: c.Span, Machine: f.MachineSpan}
	switch {
	case c.Flags&Flag32Preferred != 0:
		a.Prefer32 = true
	case c.Flags&Flag32Required != 0:
		a.Name = "x86"
	}
	return a, nil
}

// KnownMachine says whether the machine is one that Windows has run on. Code for other
// systems is known by what ReadyToRun puts in its place.
func (f *File) KnownMachine(a Architecture) bool {
	const ia64, arm64EC, arm64X = 0x0200, 0xa641, 0xa64e
	switch f.Machine {
	case MachineARMNT, ia64, arm64EC, arm64X:
		return true
	}
	return a.Name != "" || a.OS != ""
}
