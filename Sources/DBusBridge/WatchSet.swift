internal import CDBus
package import Glibc

/// The descriptors libdbus wants watched, for one connection or server, on one thread.
package final class WatchSet {
    private var watches: [OpaquePointer] = []

    /// Makes an empty set.
    package init() {}

    /// Lets a connection put its watches here; the set must outlive the connection.
    ///
    /// - Parameter connection: The connection.
    /// - Returns: False when out of memory.
    package func attach(connection: OpaquePointer) -> Bool {
        let context = Unmanaged.passUnretained(self).toOpaque()
        return dbus_connection_set_watch_functions(
            connection,
            { watch, context in WatchSet.of(context)?.add(watch) ?? 0 },
            { watch, context in WatchSet.of(context)?.remove(watch) },
            { _, _ in },
            context,
            nil
        ) != 0
    }

    /// Lets a server put its watches here; the set must outlive the server.
    ///
    /// - Parameter server: The server.
    /// - Returns: False when out of memory.
    package func attach(server: OpaquePointer) -> Bool {
        let context = Unmanaged.passUnretained(self).toOpaque()
        return dbus_server_set_watch_functions(
            server,
            { watch, context in WatchSet.of(context)?.add(watch) ?? 0 },
            { watch, context in WatchSet.of(context)?.remove(watch) },
            { _, _ in },
            context,
            nil
        ) != 0
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> WatchSet? {
        context.map { Unmanaged<WatchSet>.fromOpaque($0).takeUnretainedValue() }
    }

    private func add(_ watch: OpaquePointer?) -> dbus_bool_t {
        guard let watch else { return 0 }
        watches.append(watch)
        return 1
    }

    private func remove(_ watch: OpaquePointer?) {
        watches.removeAll { $0 == watch }
    }

    /// Adds what is to be polled now.
    ///
    /// - Parameter polled: The list for `poll(2)`.
    package func appendPolled(to polled: inout [pollfd]) {
        for watch in watches where dbus_watch_get_enabled(watch) != 0 {
            let flags = dbus_watch_get_flags(watch)
            var events: Int32 = 0
            if flags & DBUS_WATCH_READABLE.rawValue != 0 { events |= POLLIN }
            if flags & DBUS_WATCH_WRITABLE.rawValue != 0 { events |= POLLOUT }
            polled.append(pollfd(fd: dbus_watch_get_unix_fd(watch), events: Int16(events), revents: 0))
        }
    }

    /// Lets libdbus read and write what poll found ready.
    ///
    /// - Parameter polled: What was polled, with the results.
    package func handle(_ polled: some Sequence<pollfd>) {
        for entry in polled where entry.revents != 0 {
            let revents = Int32(entry.revents)
            var ready: UInt32 = 0
            if revents & POLLIN != 0 { ready |= DBUS_WATCH_READABLE.rawValue }
            if revents & POLLOUT != 0 { ready |= DBUS_WATCH_WRITABLE.rawValue }
            if revents & POLLHUP != 0 { ready |= DBUS_WATCH_HANGUP.rawValue }
            if revents & (POLLERR | POLLNVAL) != 0 { ready |= DBUS_WATCH_ERROR.rawValue }
            // Handling one watch may remove or disable others.
            let candidates = watches.filter { dbus_watch_get_unix_fd($0) == entry.fd }
            for watch in candidates where watches.contains(watch) && dbus_watch_get_enabled(watch) != 0 {
                let wanted = dbus_watch_get_flags(watch) | DBUS_WATCH_HANGUP.rawValue | DBUS_WATCH_ERROR.rawValue
                if ready & wanted != 0 { dbus_watch_handle(watch, ready & wanted) }
            }
        }
    }
}
