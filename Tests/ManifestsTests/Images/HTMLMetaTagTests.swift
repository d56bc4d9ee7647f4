import Manifests
import Testing

@Suite struct HTMLMetaTagTests {
    private func tags(_ page: String) -> [String] {
        HTMLMetaTag.tags(in: Array(page.utf8)).map { "\($0.name)=\($0.content)" }
    }

    @Test(
        arguments: [
            (#"<meta name="a" content="b c">"#, ["a=b c"]), ("<META CONTENT='b' NAME='A'/>", ["a=b"]),
            ("<meta name=a content=b>", ["a=b"]), ("<meta\n name = a\tcontent = b/c >", ["a=b/c"]),
            (#"<meta name=a content="x&amp;y&#61;&#x3d;&lt;&quot;&copy;&">"#, [#"a=x&y==<"&copy;&"#]),
            (#"<meta name="a" content="1" content="2">"#, ["a=1"]), (#"<meta property=a content=b><meta name=c>"#, []),
            (#"<meta name="a" content="<b>'">"#, ["a=<b>'"]),
            ("<!doctype html><html><head><meta name=a content=b>", ["a=b"]),
            ("<metal name=a content=b><meta-a name=a content=b>", []), ("< meta name=a content=b>", []),
            ("1 < 2 <meta name=a content=b>", ["a=b"]), ("<meta name=a content=b", []),
            (#"<meta name=a content="b>"#, []),
            ("<meta name=a content=><meta name=c content=d>", ["a=", "c=d"]), ("<", []), ("</", []), ("<!", []),
            ("", []),
        ]
    )
    func tagsAreReadAsBrowsersDo(page: String, expected: [String]) {
        #expect(tags(page) == expected)
    }

    @Test(
        arguments: [
            "<!-- <meta name=a content=b> -->", "<!--><meta name=a content=b>",
            "<!-- -- > <meta name=a content=b> --!>",
            "<script><meta name=a content=b></script>", "<style>'</'<meta name=a content=b></STYLE >",
            "<title><meta name=a content=b></title>", "<textarea><meta name=a content=b></textarea>",
            "<template><meta name=a content=b></template>", "</head><meta name=a content=b>",
            "<body><meta name=a content=b>",
            "<body class='<head>'><meta name=a content=b>", "<script>x = '<meta name=a content=b>'",
            "<!-- <meta name=a content=b>",
            "<script></scripts><meta name=a content=b></script>", "<p title='<meta name=a content=b>'>",
            "<?x <meta name=a content=b>",
        ]
    )
    func whatIsNoTagOfTheHeadIsNone(page: String) {
        // What follows on the page is read again, unless the page has ended.
        #expect(!tags(page).contains("a=b") || page.hasPrefix("<!-->"))
    }

    @Test(arguments: [
        "<!-- x -->", "<!-->", "<!--->", "<!-- a --!>", "<script>a</script >", "<style>a</style/>", "</p x='>'>",
    ])
    func whatFollowsIsReadAgain(before: String) {
        #expect(tags(before + "<meta name=a content=b>") == ["a=b"])
    }

    @Test func aLargePageCostsLittle() {
        for piece in ["<", "<a ", "<!--", "<script><", "<meta name=a content=b>", "&", "<meta name=\"&", "<a b='"] {
            let page = String(repeating: piece, count: (2 << 20) / piece.utf8.count)
            #expect(HTMLMetaTag.tags(in: Array(page.utf8)).count <= 256)
        }
    }

    @Test func whatIsBehindTheLimitIsNotRead() {
        let page = String(repeating: " ", count: HTMLMetaTag.pageLimit) + "<meta name=a content=b>"
        #expect(tags(page) == [])
    }

    @Test func longContentIsNone() {
        #expect(
            tags("<meta name=a content='\(String(repeating: "x", count: 5000))'><meta name=c content=d>") == ["c=d"]
        )
    }

    @Test(.timeLimit(.minutes(10))) func nonsenseIsRead() {
        var state: UInt64 = 1
        let pieces = [
            "<", ">", "meta", " name=", "content", "'", "\"", "=", "a", "&amp;", "<!--", "-->", "/", "script", "\n",
            "é",
        ]
        for _ in 0..<2000 {
            var page = ""
            for _ in 0..<40 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                page += pieces[Int(state >> 33) % pieces.count]
            }
            _ = tags(page)
        }
    }
}
