import Manifests
import Testing

@Suite struct CapabilityTests {
    @Test(arguments: ["CAP_NET_ADMIN", "NET_ADMIN", "cap_net_admin", "net_admin"])
    func aNameIsReadInAnyForm(text: String) {
        #expect(Capability(text)?.description == "CAP_NET_ADMIN")
    }

    @Test(arguments: ["", "CAP_", "CAP_NONE", "ALL", "CAP_CAP_NET_ADMIN", "CAP_NET_ADMIN ", "12"])
    func anythingElseIsNoCapability(text: String) {
        #expect(Capability(text) == nil)
    }

    @Test func allStandInTheKernelsOrder() {
        #expect(Capability.all.count == 41)
        #expect(Set(Capability.all).count == 41)
        let known = [(0, "CHOWN"), (8, "SETPCAP"), (12, "NET_ADMIN"), (21, "SYS_ADMIN"), (31, "SETFCAP"), (39, "BPF")]
        for (number, name) in known { #expect(Capability.all[number].description == "CAP_\(name)") }
    }

    @Test func theDefaultsAreFourteenAndNoneOfThePowerfulOnes() {
        #expect(Set(Capability.defaults).count == 14)
        #expect(Set(Capability.defaults).isSubset(of: Capability.all))
        for name in ["SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "NET_ADMIN", "DAC_READ_SEARCH"] {
            #expect(!Capability.defaults.contains { $0.description == "CAP_\(name)" })
        }
    }
}
