/// The end of a pod that is a machine, from inside: its systemd ends in order, and with the pod's exit status.
enum MachineEnd {
    /// Asks the machine's systemd to end.
    ///
    /// - Parameters:
    ///   - systemd: A connection to it.
    ///   - status: With which it is to end.
    /// - Returns: Whether it will.
    @discardableResult
    static func request(_ systemd: BusConnection?, status: Int32) -> Bool {
        guard let systemd = systemd ?? BusConnection.systemd() else {
            report(Text("cannot reach the machine's systemd"))
            return false
        }
        var code = BusCall.manager("SetExitCode")
        code.body.raw([UInt8(truncatingIfNeeded: status)])
        systemd.send(code.with(signature: "y"))
        var start = BusCall.manager("StartUnit")
        start.add(Text("exit.target"))
        start.add(Text("replace-irreversibly"))
        let call = systemd.send(start.with(signature: "ss"))
        guard let answer = systemd.answer(to: call, patience: 25_000) else {
            report(Text("the machine's systemd does not answer"))
            return false
        }
        if answer.isError { report(Text("ending the machine: ") + answer.reason) }
        return !answer.isError
    }
}
