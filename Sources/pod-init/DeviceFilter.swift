import CMusl

/// Keeps the host's devices from what is in a cgroup, as `DevicePolicy=closed` does for a unit: for a machine whose
/// cgroup is no unit's own. Its own systemd cannot, as the machine's filter of system calls keeps bpf(2) for the host.
enum DeviceFilter {
    /// Devices that are there for everybody, and that a container's `/dev` is made of: major and minor numbers of
    /// character devices, as the kernel's `Documentation/admin-guide/devices.txt` has them.
    private static let devices: [(major: UInt32, minor: UInt32)] = [
        (1, 3), (1, 5), (1, 7), (1, 8), (1, 9),  // null, zero, full, random, urandom
        (5, 0), (5, 1), (5, 2),  // tty, console, ptmx
        (10, 200),  // net/tun
    ]
    /// Those of pseudo terminals.
    private static let terminals: ClosedRange<UInt32> = 136...143

    /// Puts the program into force for a cgroup that has none; it goes with the cgroup. Ends this program when that
    /// fails.
    static func attach(to cgroup: Int32) {
        if count_device_programs(cgroup) > 0 { return }
        let program = instructions.withUnsafeBufferPointer { load_device_program($0.baseAddress, UInt32($0.count)) }
        check(program, Text("loading the filter of devices"))
        check(attach_device_program(cgroup, program), Text("keeping the host's devices from the machine"))
        _ = close(program)
    }

    // MARK: The program

    /// Registers: 1 leads to three words: access and, in its lower half, the kind of device; its major number; its
    /// minor number. 0 is the answer.
    private static var instructions: [UInt] {
        let allow = [instruction(move, 0, value: 1), instruction(exit, 0, value: 0)]
        let refuse = [instruction(move, 0, value: 0), instruction(exit, 0, value: 0)]
        var list = [loadWord(2, at: 0), loadWord(3, at: 4), loadWord(4, at: 8)]
        // BPF_DEVCG_DEV_CHAR
        list += [instruction(and, 2, value: 0xffff), jump(ifEqual, 2, to: 2, over: 2)] + refuse
        for device in devices {
            list +=
                [jump(ifNotEqual, 3, to: device.major, over: 3), jump(ifNotEqual, 4, to: device.minor, over: 2)] + allow
        }
        list += [
            jump(ifLess, 3, to: terminals.lowerBound, over: 3), jump(ifGreater, 3, to: terminals.upperBound, over: 2),
        ]
        return list + allow + refuse
    }

    // Codes of the instructions, with a number as the second operand.
    private static let move: UInt = 0xb7
    private static let and: UInt = 0x57
    private static let ifEqual: UInt = 0x15
    private static let ifNotEqual: UInt = 0x55
    private static let ifGreater: UInt = 0x25
    private static let ifLess: UInt = 0xa5
    private static let exit: UInt = 0x95

    private static func loadWord(_ register: UInt, at offset: UInt) -> UInt {
        0x61 | register << 8 | 1 << 12 | offset << 16
    }

    /// A conditional jump that compares with a number.
    private static func jump(_ code: UInt, _ register: UInt, to value: UInt32, over count: UInt) -> UInt {
        instruction(code, register, value: value) | count << 16
    }

    private static func instruction(_ code: UInt, _ register: UInt, value: UInt32) -> UInt {
        code | register << 8 | UInt(value) << 32
    }
}
