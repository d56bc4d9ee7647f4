internal import CSystemd
internal import Testing
@testable internal import Journal

@Suite struct LibSystemdTests {
    /// It would not compile if a declaration of the library's headers differed from the table's.
    @Test func `calls functions as the headers declare them`() throws {
        let open: LibSystemd.Open = sd_journal_open
        let named: [LibSystemd.OpenNamed] = [sd_journal_open_namespace, sd_journal_open_directory]
        let files: LibSystemd.OpenFiles = sd_journal_open_files
        let plain: [LibSystemd.OnHandle] = [
            sd_journal_add_disjunction, sd_journal_add_conjunction, sd_journal_seek_head, sd_journal_seek_tail,
            sd_journal_next, sd_journal_previous, sd_journal_get_fd, sd_journal_get_events, sd_journal_process,
        ]
        let void: [LibSystemd.VoidOnHandle] = [sd_journal_close, sd_journal_flush_matches, sd_journal_restart_data]
        let match: LibSystemd.Match = sd_journal_add_match
        let size: LibSystemd.WithSize = sd_journal_set_data_threshold
        let count: [LibSystemd.WithCount] = [sd_journal_seek_realtime_usec, sd_journal_previous_skip]
        let text: [LibSystemd.WithText] = [sd_journal_seek_cursor, sd_journal_test_cursor]
        let getCount: [LibSystemd.GetCount] = [sd_journal_get_realtime_usec, sd_journal_get_timeout]
        let getText: LibSystemd.GetText = sd_journal_get_cursor
        let getData: LibSystemd.GetData = sd_journal_enumerate_available_data
        // Calls with a missing handle are refused by the library, which shows that the table's are its functions.
        _ = (open, named, files, void, match, size, count, text, getCount, getText, getData)
        #expect(plain.map { $0(nil) } == plain.map { _ in -22 })
        #expect(try LibSystemd.shared().next(nil) == -22)
    }

    @Test func `reads the machine's id`() throws {
        let id = try JournalControl.machineID()
        var expected = sd_id128_t()
        #expect(sd_id128_get_machine(&expected) == 0)
        var text = [CChar](repeating: 0, count: 33)
        _ = sd_id128_to_string(expected, &text)
        #expect(id == String(decoding: text.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
}
