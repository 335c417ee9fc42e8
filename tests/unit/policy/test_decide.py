"""Decisions: one case for each sentence about them."""

from datetime import timedelta
from typing import Any, ClassVar

import pytest

from policies import (
    CRITICAL,
    DAY,
    HOUR,
    NOW,
    PARENT,
    SUBJECT,
    TRUST,
    anchor,
    attestation,
    digest,
    fact,
    judged,
    of_paper,
    policy,
    rule,
    scan,
    signatures,
    time,
    whys,
)
from retinue.attest.anchors import AnchorKey, KeyAnchor, Trust
from retinue.attest.proof import Clock, Format
from retinue.oci.platform import Platform
from retinue.papers.facts import Verdict
from retinue.papers.kinds import Kind
from retinue.papers.revocations import Revocation as Entry
from retinue.papers.revocations import Revocations
from retinue.policy.decision import Operation, Outcome
from retinue.policy.globs import Glob
from retinue.policy.model import (
    Attestation,
    Condition,
    Coverage,
    Mode,
    Naming,
    PaperType,
    Policy,
    Revocation,
    Rule,
    Sbom,
    Select,
    Slsa,
    Unmatched,
)

ONE = rule(signatures=signatures())
TWO = rule(signatures=signatures(2))
BLIND = {"referrers": "the registry answered 500"}


def windows(**window: Any) -> Policy:
    """`ci` alone may sign, with this window."""
    return policy(
        rule(signatures=signatures(1, "ci")), trust=Trust((anchor("ci", **window),), TRUST.times)
    )


class TestSignatures:
    def test_one_of_those_named_suffices(self) -> None:
        assert judged(ONE, fact("ci")).allowed

    def test_none_is_a_refusal(self) -> None:
        decision = judged(ONE)

        assert (decision.allowed, decision.undecided) == (False, False)
        assert whys(decision, "signatures") == ["0 of 1 needed from ci, release"]

    def test_papers_are_not_signers(self) -> None:
        copies = [fact("ci", f"copy {i}") for i in range(3)]

        assert not judged(TWO, *copies).allowed

    def test_distinct_principals_count(self) -> None:
        assert judged(TWO, fact("ci"), fact("release")).allowed

    def test_a_principal_that_matches_two_anchors_fills_one_slot(self) -> None:
        both = fact("ci", anchors=("ci", "release"))

        assert not judged(TWO, both).allowed

    def test_two_identities_of_one_anchor_are_two_principals(self) -> None:
        identities = [fact("ci", principal=f"keyless:issuer {each}", key=each) for each in "ab"]

        assert judged(TWO, *identities).allowed

    def test_who_is_trusted_but_not_named_does_not_count(self) -> None:
        decision = judged(ONE, fact("security"))

        assert not decision.allowed

    @pytest.mark.parametrize("kind", [Kind.SBOM, Kind.ATTESTATION, Kind.TAG_STATEMENT])
    def test_another_paper_of_the_same_signer_is_no_signature(self, kind: Kind) -> None:
        assert not judged(ONE, fact("ci", kind=kind)).allowed

    @pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.VERIFIED])
    def test_what_did_not_verify_neither_satisfies_nor_blocks(self, verdict: Verdict) -> None:
        broken = fact("ci", verdict=verdict, why="says so")

        assert not judged(ONE, broken).allowed
        assert judged(ONE, broken, fact("release")).allowed
        ((outcome, why),) = of_paper(judged(ONE, broken), broken)
        assert (outcome, why) == (Outcome.IGNORED, f"{verdict}: says so")

    def test_a_format_that_is_not_listed_does_not_count(self) -> None:
        only = rule(signatures=signatures(formats=frozenset({Format.NOTATION})))

        assert not judged(only, fact("ci", format=Format.LEGACY)).allowed
        assert judged(only, fact("ci", format=Format.NOTATION)).allowed

    def test_annotations_must_be_signed(self) -> None:
        env = rule(signatures=signatures(annotations={"env": "prod"}))

        assert not judged(env, fact("ci", annotations={"env": "dev"})).allowed
        assert judged(env, fact("ci", annotations={"env": "prod", "more": "x"})).allowed

    def test_a_signature_about_another_digest_does_not_count(self) -> None:
        assert not judged(ONE, fact("ci", subject=PARENT)).allowed

    def test_a_subject_is_met_by_its_other_digest_too(self) -> None:
        addressed = fact("ci", subject=PARENT, aliases=(SUBJECT,))

        assert judged(ONE, addressed).allowed

    def test_another_repository_counts_only_where_the_rule_names_it(self) -> None:
        there = fact("ci", elsewhere="reg.acme/sigs")

        assert not judged(ONE, there).allowed
        assert judged(rule(signatures=signatures(), papers_in=("reg.acme/sigs",)), there).allowed

    def test_a_log_entry_can_be_demanded(self) -> None:
        logged = rule(signatures=signatures(), logged=True)

        assert not judged(logged, fact("ci")).allowed
        assert judged(logged, fact("ci", logged=True)).allowed

    def test_a_copy_that_lost_its_log_entry_is_the_same_signature(self) -> None:
        logged = rule(signatures=signatures(), logged=True)
        stripped = fact("ci", signature="1")
        other = fact("ci", "other", signature="1", logged=True, elsewhere="reg.acme/other")

        assert judged(logged, stripped, other).allowed


class TestNames:
    RULE = rule(signatures=signatures(naming=Naming.DOCKER_REFERENCE))
    MIRROR = rule(
        signatures=signatures(
            naming=Naming.DOCKER_REFERENCE,
            remap={"reg.acme/": "up.io/", "reg.acme/prod/": "hub.io/"},
        )
    )

    @pytest.mark.parametrize(
        "reference", ["reg.acme/prod/app", "reg.acme/prod/app:v1", f"reg.acme/prod/app@{SUBJECT}"]
    )
    def test_a_signature_for_this_name_counts(self, reference: str) -> None:
        assert judged(self.RULE, fact("ci", reference=reference)).allowed

    @pytest.mark.parametrize(
        "reference", [None, "", "reg.acme/prod/apple", "reg.acme:5000/prod/app"]
    )
    def test_one_for_another_name_or_none_does_not(self, reference: str | None) -> None:
        assert not judged(self.RULE, fact("ci", reference=reference)).allowed

    def test_a_copy_keeps_the_name_of_its_source(self) -> None:
        assert judged(self.MIRROR, fact("ci", reference="hub.io/app")).allowed
        assert not judged(self.MIRROR, fact("ci", reference="up.io/prod/app")).allowed
        assert not judged(self.MIRROR, fact("ci", reference="reg.acme/prod/app")).allowed


class TestWindows:
    def test_a_key_that_is_not_valid_yet_does_not_count(self) -> None:
        assert not judged(windows(since=NOW + HOUR), fact("ci")).allowed
        assert judged(windows(since=NOW), fact("ci")).allowed

    def test_without_a_trusted_time_expiry_ends_it(self) -> None:
        ended = windows(until=NOW)

        assert not judged(ended, fact("ci")).allowed
        assert judged(ended, fact("ci"), now=NOW - HOUR).allowed

    def test_with_a_trusted_time_in_the_window_it_counts_for_ever(self) -> None:
        assert judged(windows(until=NOW), fact("ci", at=NOW - HOUR), now=NOW + 999 * DAY).allowed

    def test_the_earliest_time_counts(self) -> None:
        times = (time(NOW + HOUR), time(NOW - HOUR))

        assert judged(windows(until=NOW), fact("ci", times=times), now=NOW + DAY).allowed

    def test_a_time_before_the_window_does_not_count(self) -> None:
        assert not judged(windows(since=NOW - DAY), fact("ci", at=NOW - 2 * DAY)).allowed

    def test_a_copy_that_lost_its_timestamp_is_as_old_as_the_other(self) -> None:
        stripped = fact("ci", signature="1")
        stamped = fact("ci", "other", signature="1", at=NOW - HOUR, elsewhere="reg.acme/other")

        assert judged(windows(until=NOW), stripped, stamped).allowed

    def test_a_superseded_key_counts_for_what_it_signed_before(self) -> None:
        superseded = windows(revoked=NOW)

        assert judged(superseded, fact("ci", at=NOW - HOUR), now=NOW + DAY).allowed
        assert not judged(superseded, fact("ci", at=NOW), now=NOW + DAY).allowed
        assert not judged(superseded, fact("ci"), now=NOW + DAY).allowed
        assert judged(superseded, fact("ci"), now=NOW - DAY).allowed

    def test_compromise_voids_all_without_a_trusted_time_before_it(self) -> None:
        compromised = windows(revoked=NOW, compromised=True)

        assert judged(compromised, fact("ci", at=NOW - HOUR), now=NOW + DAY).allowed
        assert not judged(compromised, fact("ci", at=NOW), now=NOW + DAY).allowed
        assert not judged(compromised, fact("ci"), now=NOW - DAY).allowed

    def test_only_clocks_that_the_rule_names_are_believed(self) -> None:
        stamped = fact("ci", times=(time(NOW - HOUR, "other"),))
        logged = fact("ci", times=(time(NOW - HOUR, "log", Clock.TLOG),))
        trust = Trust((anchor("ci", until=NOW),), TRUST.times)
        receipts = policy(
            rule(signatures=signatures(1, "ci"), trusted_time=frozenset({"receipts"})), trust=trust
        )
        logs = policy(
            rule(signatures=signatures(1, "ci"), trusted_time=frozenset({"tlog"})), trust=trust
        )

        assert not judged(receipts, stamped).allowed
        assert not judged(receipts, logged).allowed
        assert judged(logs, logged).allowed
        assert not judged(logs, stamped).allowed

    def test_one_anchor_whose_window_is_met_suffices(self) -> None:
        shared = KeyAnchor("old", (AnchorKey(anchor("ci").keys[0].key, until=NOW - DAY),))
        both = policy(
            rule(signatures=signatures(1, "ci", "old")), trust=Trust((shared, anchor("ci")))
        )

        assert judged(both, fact("ci", anchors=("old", "ci"))).allowed

    def test_a_signed_expiry_ends_a_signature_whatever_its_time(self) -> None:
        expiring = fact("ci", expires=NOW, at=NOW - DAY)

        assert not judged(ONE, expiring).allowed
        assert judged(ONE, expiring, now=NOW - HOUR).allowed


class TestCertificates:
    VALID: ClassVar[dict[str, Any]] = {"not_before": NOW - HOUR, "not_after": NOW + HOUR}

    def test_without_a_trusted_time_they_must_be_valid_now(self) -> None:
        assert judged(ONE, fact("ci", **self.VALID)).allowed
        assert not judged(ONE, fact("ci", **self.VALID), now=NOW + HOUR).allowed
        assert not judged(ONE, fact("ci", **self.VALID), now=NOW - 2 * HOUR).allowed

    def test_with_one_they_were(self) -> None:
        assert judged(ONE, fact("ci", at=NOW, **self.VALID), now=NOW + DAY).allowed

    def test_a_time_that_the_rule_does_not_believe_is_none(self) -> None:
        picky = rule(signatures=signatures(), trusted_time=frozenset({"tlog"}))

        assert not judged(picky, fact("ci", at=NOW, **self.VALID), now=NOW + DAY).allowed

    def test_a_copy_lends_its_time_only_within_this_certificate(self) -> None:
        stripped = fact("ci", signature="1", **self.VALID)
        for at, allowed in ((NOW, True), (NOW + 2 * HOUR, False)):
            other = fact("ci", "other", signature="1", at=at, elsewhere="reg.acme/other")

            assert judged(ONE, stripped, other, now=NOW + DAY).allowed is allowed

    def test_their_end_ends_an_answer(self) -> None:
        assert judged(ONE, fact("ci", **self.VALID)).valid_until == NOW + HOUR


class TestAttestations:
    def test_an_attestation_by_those_named_is_demanded(self) -> None:
        asked = rule(attestations=(attestation(),))

        assert not judged(asked).allowed
        assert not judged(asked, scan("release")).allowed
        assert judged(asked, scan("ci")).allowed

    def test_another_predicate_type_is_another_paper(self) -> None:
        asked = rule(attestations=(attestation(),))

        assert not judged(asked, scan("ci", predicate_type="https://other")).allowed

    @pytest.mark.parametrize(
        ("select", "allowed"), [(Select.ANY, True), (Select.NEWEST, False), (Select.ALL, False)]
    )
    def test_an_old_clean_scan_does_only_where_any_does(
        self, select: Select, allowed: bool
    ) -> None:
        clean, dirty = scan(at=NOW - 2 * DAY), scan(critical=1, at=NOW - DAY)

        assert judged(rule(attestations=(clean_scan(select),)), clean, dirty).allowed is allowed

    @pytest.mark.parametrize(
        ("select", "allowed"), [(Select.ANY, True), (Select.NEWEST, True), (Select.ALL, False)]
    )
    def test_an_old_dirty_scan_matters_only_where_all_must_do(
        self, select: Select, allowed: bool
    ) -> None:
        dirty, clean = scan(critical=1, at=NOW - 2 * DAY), scan(at=NOW - DAY)

        assert judged(rule(attestations=(clean_scan(select),)), dirty, clean).allowed is allowed

    def test_the_newest_is_chosen_for_each_principal(self) -> None:
        by = ("ci", "release")
        asked = rule(attestations=(clean_scan(Select.NEWEST, by=by),))

        decision = judged(asked, scan("ci", at=NOW), scan("release", critical=1, at=NOW - DAY))

        assert not decision.allowed

    def test_what_has_no_trusted_time_could_be_the_newest_and_displaces_nothing(self) -> None:
        asked = rule(attestations=(clean_scan(Select.NEWEST),))

        assert not judged(asked, scan(critical=1), scan(at=NOW)).allowed
        assert not judged(asked, scan(), scan(critical=1, at=NOW - DAY)).allowed
        assert judged(asked, scan(), scan(at=NOW)).allowed

    def test_a_revoked_scan_is_none(self) -> None:
        dirty, clean = scan(critical=1, at=NOW), scan(at=NOW - DAY)
        entries = (Entry("key:ci", "wrong", signature=dirty.signature),)
        asked = rule(attestations=(clean_scan(Select.NEWEST),))

        assert judged(asked, dirty, clean, revocations=listing(*entries)).allowed

    def test_without_a_trusted_time_the_age_is_not_known(self) -> None:
        asked = rule(attestations=(attestation(max_age=DAY),))

        assert not judged(asked, scan()).allowed
        assert judged(asked, scan(at=NOW - HOUR)).allowed
        assert not judged(asked, scan(at=NOW - DAY)).allowed

    @pytest.mark.parametrize("select", list(Select))
    def test_attached_again_without_its_time_a_scan_is_no_older(self, select: Select) -> None:
        asked = rule(attestations=(attestation(max_age=DAY, select=select),))
        young, again = scan(at=NOW - HOUR, signature="1"), scan(name="again", signature="1")

        assert judged(asked, young, again).allowed
        assert not judged(asked, again).allowed

    def test_of_all_one_must_be_young_and_none_may_be_wrong(self) -> None:
        asked = rule(attestations=(clean_scan(Select.ALL, max_age=DAY),))
        old, young = scan(at=NOW - 9 * DAY), scan(at=NOW - HOUR)

        assert judged(asked, old, young).allowed
        assert not judged(asked, old).allowed
        assert not judged(asked, scan(critical=1, at=NOW - 9 * DAY), young).allowed

    def test_a_builder_must_belong_to_its_signer(self) -> None:
        kind = PaperType("slsa-provenance", Kind.PROVENANCE)
        asked = rule(attestations=(Attestation(kind, ("ci", "security")),))

        def built(builder: object, signer: str = "ci") -> bool:
            claims: dict[str, Any] = {} if builder is None else {"builder": builder}
            return judged(asked, fact(signer, kind=Kind.PROVENANCE, claims=claims)).allowed

        assert built("https://ci.acme/b1")
        assert not built("https://ci.acme/b1", "security")
        assert not built("https://ci.acme/b1/other")
        assert not built(None)

    @pytest.mark.parametrize(
        ("claims", "allowed"),
        [
            ({"source": "git+https://github.com/acme/a", "ref": "refs/tags/v1"}, True),
            ({"source": "git+https://github.com/acme/a", "ref": "refs/heads/v1"}, False),
            ({"source": "git+https://github.com/acme/a"}, False),
            ({"source": "git+https://github.com/evil/a", "ref": "refs/tags/v1"}, False),
            ({"source": ("git+https://github.com/acme/a", "x"), "ref": "refs/tags/v1"}, False),
            ({"source": (), "ref": "refs/tags/v1"}, False),
        ],
    )
    def test_provenance_is_of_sources_that_are_named(
        self, claims: dict[str, Any], allowed: bool
    ) -> None:
        slsa = Slsa((Glob("git+https://github.com/acme/*"),), (Glob("refs/tags/v*"),))
        kind = PaperType("slsa-provenance", Kind.PROVENANCE)
        asked = rule(attestations=(Attestation(kind, ("ci",), slsa=slsa, builders=False),))

        assert judged(asked, fact("ci", kind=Kind.PROVENANCE, claims=claims)).allowed is allowed

    @pytest.mark.parametrize(
        ("components", "purls", "allowed"),
        [(10, 9, True), (10, 8, False), (0, 0, False), (2, 2, False), (None, None, False)],
    )
    def test_an_sbom_must_say_enough(
        self, components: int | None, purls: int | None, allowed: bool
    ) -> None:
        counts = {"components": components, "purls": purls}
        claims = {name: count for name, count in counts.items() if count is not None}
        asked = Attestation(PaperType("sbom", Kind.SBOM), ("ci",), sbom=Sbom(3, 0.9))

        decision = judged(rule(attestations=(asked,)), fact("ci", kind=Kind.SBOM, claims=claims))

        assert decision.allowed is allowed

    def test_every_section_of_a_rule_must_hold(self) -> None:
        asked = rule(signatures=signatures(), attestations=(attestation(),))

        assert not judged(asked, fact("ci")).allowed
        assert not judged(asked, scan("ci")).allowed
        assert judged(asked, fact("ci"), scan("ci")).allowed


def clean_scan(select: Select, **more: Any) -> Attestation:
    return attestation(select=select, where=(Condition(CRITICAL, "==", 0),), **more)


def listing(*entries: Entry, **more: Any) -> Revocations:
    fields = {"name": "reg.acme/trust", "version": 3, "issued": NOW - HOUR, "expires": NOW + DAY}
    fields |= {"entries": entries, "fingerprint": "sha256:1", "signed": fact("security", "list")}
    return Revocations(**{**fields, **more})


class TestRevocations:
    TERMS = Revocation(("security",), own=True, list="reg.acme/trust", max_age=timedelta(hours=2))
    POLICY = policy(ONE, revocation=TERMS)

    def test_a_listed_signature_does_not_count(self) -> None:
        entry = Entry("key:ci", "stolen", subject=SUBJECT)

        decision = judged(self.POLICY, fact("ci"), revocations=listing(entry))

        assert not decision.allowed
        assert of_paper(decision, fact("ci")) == [(Outcome.FAILED, "was revoked: stolen")]
        assert decision.list_version == 3

    def test_without_a_list_nothing_enforced_passes(self) -> None:
        decision = judged(self.POLICY, fact("ci"))

        assert (decision.allowed, decision.undecided) == (False, True)

    @pytest.mark.parametrize("stale", [{"expires": NOW}, {"issued": NOW - 2 * HOUR}])
    def test_a_stale_list_is_none(self, stale: dict[str, Any]) -> None:
        assert not judged(self.POLICY, fact("ci"), revocations=listing(**stale)).allowed
        assert judged(self.POLICY, fact("ci"), revocations=listing()).allowed

    def test_another_list_is_none(self) -> None:
        other = listing(name="reg.mallory/trust")

        assert not judged(self.POLICY, fact("ci"), revocations=other).allowed

    def test_a_rule_that_only_warns_passes_without_a_list(self) -> None:
        warning = policy(rule(signatures=signatures(), mode=Mode.WARN), revocation=self.TERMS)

        assert judged(warning, fact("ci")).allowed

    def revoking(self, signer: str, revoked: str = "key:ci") -> Any:
        claims = {"revokes.signer": revoked, "revokes.reason": "withdrawn"}
        return fact(signer, kind=Kind.REVOCATION, claims=claims)

    @pytest.mark.parametrize(
        ("signer", "allowed"), [("security", False), ("ci", False), ("release", True)]
    )
    def test_papers_of_revokers_and_of_the_signer_himself_revoke(
        self, signer: str, allowed: bool
    ) -> None:
        decision = judged(self.POLICY, fact("ci"), self.revoking(signer), revocations=listing())

        assert decision.allowed is allowed

    def test_without_terms_no_paper_revokes(self) -> None:
        assert judged(ONE, fact("ci"), self.revoking("ci")).allowed


class TestBlindness:
    def test_unmet_and_blind_is_undecided_and_refused(self) -> None:
        decision = judged(ONE, blind=BLIND)

        assert (decision.allowed, decision.undecided) == (False, True)
        assert "could not look at referrers" in whys(decision, "signatures")[0]

    def test_what_is_met_survives_blindness(self) -> None:
        decision = judged(ONE, fact("ci"), blind=BLIND)

        assert (decision.allowed, decision.undecided) == (True, False)

    @pytest.mark.parametrize("select", [Select.NEWEST, Select.ALL])
    def test_where_one_more_paper_could_turn_it_blindness_is_no_yes(self, select: Select) -> None:
        decision = judged(rule(attestations=(clean_scan(select),)), scan(at=NOW), blind=BLIND)

        assert (decision.allowed, decision.undecided) == (False, True)

    def test_what_is_ruled_out_is_no_matter_what_else_there_is(self) -> None:
        dirty = scan(critical=1, at=NOW)
        decision = judged(rule(attestations=(clean_scan(Select.ALL),)), dirty, blind=BLIND)

        assert (decision.allowed, decision.undecided) == (False, False)

    def test_one_rule_that_says_no_decides(self) -> None:
        denied = policy(ONE, deny={SUBJECT: "CVE"})

        decision = judged(denied, blind=BLIND)

        assert (decision.allowed, decision.undecided) == (False, False)


class TestRules:
    def test_deny_beats_everything(self) -> None:
        denied = policy(ONE, deny={SUBJECT: "CVE-2026-1"}, unmatched=Unmatched.ALLOW)

        decision = judged(denied, fact("ci"))

        assert not decision.allowed
        assert whys(decision, "deny") == ["CVE-2026-1"]
        assert not judged(denied, image="elsewhere/app").allowed

    def test_the_same_bytes_under_another_digest_are_denied_too(self) -> None:
        denied = policy(ONE, deny={PARENT: "CVE"}, unmatched=Unmatched.ALLOW)

        assert not judged(denied, fact("ci", aliases=(PARENT,))).allowed
        assert not judged(denied, fact("ci"), aliases=(PARENT,)).allowed
        assert judged(denied, fact("ci"), fact("ci", "x", subject=PARENT)).allowed

    def test_all_matching_rules_apply(self) -> None:
        other = rule("other", signatures=signatures(1, "security"))

        assert not judged(policy(ONE, other), fact("ci")).allowed
        assert judged(policy(ONE, other), fact("ci"), fact("security")).allowed

    def test_except_narrows_its_own_rule(self) -> None:
        narrow = rule(
            "narrow", signatures=signatures(1, "security"), excepted=(Glob("reg.acme/prod/*"),)
        )

        assert judged(policy(ONE, narrow), fact("ci")).allowed
        assert not judged(policy(narrow), fact("ci")).allowed

    @pytest.mark.parametrize("unmatched", list(Unmatched))
    def test_what_no_rule_is_about(self, unmatched: Unmatched) -> None:
        decision = judged(policy(ONE, unmatched=unmatched), image="elsewhere/app")

        assert decision.allowed is (unmatched is Unmatched.ALLOW)

    def test_a_rule_is_about_its_operations(self) -> None:
        admission = rule(signatures=signatures(), on=frozenset({Operation.ADMISSION}))

        assert judged(admission, fact("ci"), operation=Operation.ADMISSION).allowed
        assert not judged(admission, fact("ci"), operation=Operation.PULL).allowed

    @pytest.mark.parametrize("mode", [Mode.WARN, Mode.AUDIT])
    def test_only_enforce_refuses(self, mode: Mode) -> None:
        decision = judged(rule(signatures=signatures(), mode=mode))

        assert decision.allowed
        assert [r.outcome for r in decision.reasons] == [Outcome.FAILED]
        assert not decision.reasons[0].enforced

    def test_every_paper_is_traced(self) -> None:
        papers = [fact("ci"), fact("security"), scan("ci"), fact("x", verdict=Verdict.UNREADABLE)]

        decision = judged(ONE, *papers)

        assert {r.paper for r in decision.reasons if r.paper} == {p.paper for p in papers}

    def test_a_decision_names_what_it_was_about(self) -> None:
        asked = policy(ONE)

        decision = judged(asked, fact("ci"), revocations=listing())

        assert (decision.digest, decision.list_version) == (SUBJECT, 3)
        assert decision.epoch == asked.epoch_with(3)


CHILD_RULE = rule(signatures=signatures(), index=Coverage.PARENT)


class TestParents:
    def test_a_signed_parent_covers_its_child(self) -> None:
        signed = fact("ci", subject=PARENT)

        assert judged(CHILD_RULE, signed, parents={PARENT: 1}).allowed
        assert not judged(CHILD_RULE, signed).allowed
        assert not judged(ONE, signed, parents={PARENT: 1}).allowed

    @pytest.mark.parametrize(("depth", "allowed"), [(4, True), (5, False), (0, False)])
    def test_coverage_is_four_levels_deep(self, depth: int, allowed: bool) -> None:
        signed = fact("ci", subject=PARENT)

        assert judged(CHILD_RULE, signed, parents={PARENT: depth}).allowed is allowed

    def test_a_denied_parent_covers_no_child(self) -> None:
        denied = policy(CHILD_RULE, deny={PARENT: "bad"})

        assert not judged(denied, fact("ci", subject=PARENT), parents={PARENT: 1}).allowed

    def test_signers_of_parent_and_child_do_not_add_up(self) -> None:
        two = rule(signatures=signatures(2), index=Coverage.PARENT)

        decision = judged(two, fact("ci"), fact("release", subject=PARENT), parents={PARENT: 1})

        assert not decision.allowed

    def test_coverage_never_extends_attestations(self) -> None:
        asked = rule(signatures=signatures(), attestations=(attestation(),), index=Coverage.PARENT)
        above = [fact("ci", subject=PARENT), scan("ci", subject=PARENT)]

        assert not judged(asked, *above, parents={PARENT: 1}).allowed
        assert judged(asked, *above, scan("ci"), parents={PARENT: 1}).allowed

    def test_a_parent_that_is_not_allowed_itself_covers_no_child(self) -> None:
        asked = rule(signatures=signatures(), attestations=(attestation(),), index=Coverage.PARENT)

        decision = judged(asked, fact("ci", subject=PARENT), scan("ci"), parents={PARENT: 1})

        assert not decision.allowed

    def test_nor_one_that_another_rule_refuses(self) -> None:
        other = rule("other", signatures=signatures(1, "security"))
        facts = [fact("ci", subject=PARENT), fact("security")]

        assert not judged(policy(CHILD_RULE, other), *facts, parents={PARENT: 1}).allowed


AMD, ARM = digest("amd64"), digest("arm64")
PLATFORMS = {AMD: Platform("linux", "amd64"), ARM: Platform("linux", "arm64")}


class TestPlatforms:
    EVERY = rule(signatures=signatures(), attestations=(attestation(),), index=Coverage.EVERY)
    SIGNED = (fact("ci"), fact("ci", subject=AMD), fact("ci", subject=ARM))
    SCANNED = (scan("ci", subject=AMD), scan("ci", subject=ARM))

    def test_index_and_platforms_are_signed_and_platforms_attested(self) -> None:
        assert judged(self.EVERY, *self.SIGNED, *self.SCANNED, children=PLATFORMS).allowed

    @pytest.mark.parametrize("missing", range(5))
    def test_none_may_be_missing(self, missing: int) -> None:
        facts = [*self.SIGNED, *self.SCANNED]
        del facts[missing]

        assert not judged(self.EVERY, *facts, children=PLATFORMS).allowed

    def test_entries_that_never_run_need_nothing(self) -> None:
        children = {**PLATFORMS, digest("papers"): Platform("unknown", "unknown")}

        assert judged(self.EVERY, *self.SIGNED, *self.SCANNED, children=children).allowed

    def test_an_entry_without_a_platform_does(self) -> None:
        children = {**PLATFORMS, digest("nested"): None}

        assert not judged(self.EVERY, *self.SIGNED, *self.SCANNED, children=children).allowed

    def test_a_denied_platform_refuses_its_index(self) -> None:
        denied = policy(self.EVERY, deny={ARM: "bad"})

        assert not judged(denied, *self.SIGNED, *self.SCANNED, children=PLATFORMS).allowed

    def test_a_plain_image_answers_for_itself(self) -> None:
        assert judged(self.EVERY, fact("ci"), scan("ci")).allowed
        assert not judged(self.EVERY, fact("ci")).allowed


class TestValidUntil:
    def test_nothing_changes_by_itself_where_nothing_has_a_time(self) -> None:
        assert judged(ONE, fact("ci")).valid_until is None

    def test_the_end_of_a_key(self) -> None:
        assert judged(windows(until=NOW + DAY), fact("ci")).valid_until == NOW + DAY

    def test_the_start_of_a_key(self) -> None:
        assert judged(windows(since=NOW + DAY), fact("ci")).valid_until == NOW + DAY

    def test_the_end_of_a_key_that_another_signer_makes_up_for_changes_nothing(self) -> None:
        both = policy(ONE, trust=Trust((anchor("ci", until=NOW + DAY), anchor("release"))))

        assert judged(both, fact("ci"), fact("release")).valid_until is None

    def test_an_attestation_becomes_too_old(self) -> None:
        asked = rule(attestations=(attestation(max_age=DAY),))

        assert judged(asked, scan(at=NOW - HOUR)).valid_until == NOW + DAY - HOUR

    def test_the_list_becomes_too_old(self) -> None:
        asked = TestRevocations.POLICY

        assert judged(asked, fact("ci"), revocations=listing()).valid_until == NOW + HOUR

    def test_many_instants_end_early_rather_than_late(self) -> None:
        keys = [anchor(f"k{i}", until=NOW + i * HOUR) for i in range(1, 100)]
        asked = policy(
            rule(signatures=signatures(1, *(k.name for k in keys))), trust=Trust(tuple(keys))
        )

        decision = judged(asked, *(fact(k.name) for k in keys))

        assert decision.valid_until == NOW + 65 * HOUR


def test_what_a_rule_that_asks_for_nothing_says() -> None:
    watching = Rule("watch", (Glob("**"),), mode=Mode.AUDIT)

    assert judged(watching).allowed
