import CMusl

/// The records of apps' ends. The pod's directory holds a file of the right size for each already (`status/.APP`,
/// `status/.EXIT`), so that a full disk does not lose one; a record gets its name when it is complete.
enum EndRecords {
    /// Records that an app has ended, and tells the pod's init.
    ///
    /// - Parameters:
    ///   - pod: The pod's directory.
    ///   - status: The directory of the records in it.
    ///   - app: The app.
    ///   - code: Its exit status.
    ///   - isFailure: Whether it is a failure of the pod's; the first one gives the pod its exit status.
    static func record(in pod: Int32, _ status: Int32, app: Text, _ code: Int32, isFailure: Bool) {
        // One app's end at a time. The lock is on another directory than the pod's own, which its init holds.
        _ = flock(status, LOCK_EX)
        if isFailure, !exists(in: status, Text("EXIT")) {
            write(in: status, Text(".EXIT"), code == 0 ? ExitStatus.setup : code)
            rename(in: status, Text(".EXIT"), to: Text("EXIT"))
        }
        write(in: status, Text(".") + app, code)
        rename(in: status, Text(".") + app, to: app)
        _ = flock(status, LOCK_UN)
        PodState.wakeInit(pod)
    }

    /// Takes the record of an app's end back: it has been started again.
    static func takeBack(in status: Int32, app: Text) {
        _ = (Text(".") + app).withCString { to in app.withCString { renameat(status, $0, status, to) } }
    }

    /// Notes how an app has ended that is about to be started again.
    static func note(in status: Int32, app: UnsafePointer<CChar>, _ code: Int32) {
        write(in: status, Text(".") + app, code)
    }

    /// Records the ends of apps that are down though nothing has recorded them: systemd did not start one again, as it
    /// was stopped while it waited for that or was started too often; or what should have recorded the end was killed.
    static func recordMissing(in pod: Int32, uuid: UnsafePointer<CChar>) {
        guard let apps = PodState.unended(pod), !apps.isEmpty,
            let status = openIfThere(in: pod, Text("status"), O_RDONLY | O_DIRECTORY)
        else { return }
        for app in apps {
            let unit = Text("rkt-") + uuid + "-" + app + ".service"
            guard let state = UnitOutlook.restingState(of: unit) else { continue }
            let noted = contents(in: status, Text(".") + app, limit: 64).flatMap { parseNumber($0) }
            let isFailure = noted == nil || state.equals("failed")
            record(in: pod, status, app: app, noted ?? ExitStatus.setup, isFailure: isFailure)
        }
    }

    /// Records the end of a pod whose apps ended together, as something else ran them.
    ///
    /// - Parameters:
    ///   - pod: The pod's directory.
    ///   - code: The pod's exit status; also that of apps of which no more is known.
    ///   - own: What is known of an app.
    static func recordAll(in pod: Int32, _ code: Int32, own: (Text) -> Int32?) {
        guard let apps = PodState.unended(pod),
            let status = openIfThere(in: pod, Text("status"), O_RDONLY | O_DIRECTORY)
        else { return }
        if code != 0, !exists(in: status, Text("EXIT")) {
            write(in: status, Text(".EXIT"), code)
            rename(in: status, Text(".EXIT"), to: Text("EXIT"))
        }
        for app in apps { record(in: pod, status, app: app, own(app) ?? code, isFailure: false) }
    }

    private static func write(in directory: Int32, _ prepared: Text, _ code: Int32) {
        let fd = prepared.withCString { open_at(directory, $0, O_WRONLY | O_CREAT | O_CLOEXEC, 0o640) }
        check(fd, Text("recording the end in ") + prepared)
        let content = Text("") + code + "\n"
        if content.withCString({ pwrite(fd, $0, content.count, 0) }) != content.count {
            fail(Text("recording the end in ") + prepared)
        }
        _ = ftruncate(fd, content.count)
        _ = close(fd)
    }

    private static func rename(in directory: Int32, _ prepared: Text, to name: Text) {
        let result = prepared.withCString { from in
            name.withCString { renameat(directory, from, directory, $0) }
        }
        check(result, Text("recording the end in ") + name)
    }
}
