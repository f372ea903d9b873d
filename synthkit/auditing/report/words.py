"""What every report says whatever was found: what evidence is, what no attack covers, and whose terms are whose.

No text here says that a table may be released, or what the law makes of it: a report has evidence and a verdict against
a policy, and a person decides.
"""

from __future__ import annotations

from collections.abc import Mapping

from synthkit.auditing.attack import Family
from synthkit.auditing.records import Outcome
from synthkit.auditing.result import GateStatus

TITLE = "Audit of a released synthetic table"

CONFIDENTIAL = "This report is confidential: it tells about the real records."

WHAT_A_VERDICT_IS = (
    "Evidence, and a verdict against a policy. It is no opinion on the law and no leave to release: a person decides."
)

# The words of WP216 first, then what else is asked today.
GROUPS: Mapping[Family, tuple[str, str, str]] = {
    "singling out": (
        "Singling out",
        "WP216",
        "Does the table tell how to describe exactly one real person?",
    ),
    "linkability": (
        "Linkability",
        "WP216",
        "Does the table help to find out that two pieces of knowledge are about the same person?",
    ),
    "attribute": (
        "Inference",
        "WP216",
        "Does the table tell what is confidential about somebody of whom the rest is known, beyond what holds for"
        " everybody?",
    ),
    "membership": (
        "Membership",
        "beside WP216",
        "Does the table tell whether somebody was among the real records?",
    ),
    "duplicates": (
        "Duplicates",
        "beside WP216",
        "Does the table repeat real records, or come nearer to them than other real rows do?",
    ),
}
OTHER_GROUP = ("Other attacks", "not registered", "Attacks that this version does not describe.")

GATE_WORDS: Mapping[GateStatus, str] = {"met": "Met", "not met": "Not met", "not tested": "Not tested"}
OUTCOME_WORDS: Mapping[Outcome, str] = {
    "disclosure": "Disclosure",
    "no disclosure found": "No disclosure found",
    "inconclusive": "Inconclusive",
    "not applicable": "Not tested",
}
OUTCOMES_MEAN: Mapping[Outcome, str] = {
    "disclosure": "by at least one of its measures, not always the first, the attack does better with the synthetic"
    " table than without it, beyond chance",
    "no disclosure found": "by none of its measures does the attack do better with the synthetic table than without"
    " it, beyond chance, and its controls show that it would have caught copies of real records",
    "inconclusive": "its controls do not show that the attack tells a leak from none: nothing follows, neither way",
    "not applicable": "it did not run, and the reason is told",
}

TIERS = (
    (
        "A",
        "Proof",
        "Differential privacy with its ledger. Bounds every attack, also those that nobody has thought of, as far as"
        " the program did what the ledger says.",
    ),
    (
        "B",
        "Audit of the implementation",
        "Canaries are put into the training data of the same program. Can refute a claimed guarantee, never prove it,"
        " and is about the program, not about this table. Not part of this report.",
    ),
    (
        "C",
        "Attacks on this release",
        "The attacks below. What succeeds is a disclosure. What does not succeed bounds these attacks on these records,"
        " and no others.",
    ),
)

NO_GUARANTEE = (
    "No model and no ledger was given: nothing is proved about this release. The attacks below do not make up for that:"
    " they bound themselves, a proof bounds all attacks."
)

NOTHING_PROVED = "Nothing is proved: no differential privacy was shown for this release."

NO_LINEAGE = "No file was named: the tables came from memory, and nothing ties them to a file."

NO_POLICY = "No policy was given, so there is no verdict. Findings alone do not say what is acceptable."

NO_HOLDOUT = (
    "No held-out rows were given. Without real rows that the generator never saw nobody can tell what the synthetic"
    " table discloses from what is true of the population: no attack has a control."
)

UTILITY = (
    "Risks alone are easily lowered: an empty table discloses nothing. So they are read beside these scores. Real rows"
    " are what a perfect generator gets, independent columns one that knows no relation."
)

CONTROLS = (
    "Positive control: the same attack where the released rows are copies of training rows: exact ones for attacks that"
    " look for equal values (singling out, duplicates of quasi-identifiers), else with a little noise on the numbers."
    " Where it misses even those, finding nothing says nothing. Negative control: the same attack where the released"
    " rows are held-out real rows, which tell nothing about the training rows. It must not succeed, else the attack"
    " sees what is no leak. Controls are judged by the first measure of an attack; a disclosure by any other measure"
    " counts as well."
)

EXPOSED_RECORDS = (
    "The rows below are real records. They are here because they were asked for; whoever does not need them should get"
    " a report without them."
)

NOT_COVERED = (
    "Attacks that are not in this report. A stronger one may come next year. Only a proof (tier A) bounds those.",
    "The most exposed few. Measures are averages over many records: a single person can be exposed, unseen, in a table"
    " where an average attack fails.",
    "Everything else that was or will be released about the same people. Two tables can disclose together what neither"
    " discloses alone.",
    "The generator itself. Unless it is said otherwise, the attacker has the table only, not the model, and asks it"
    " nothing.",
    "What is true of everybody. A table that shows that a habit harms shows it of people who were never in the data as"
    " well; no attack counts that, and it can hurt them all the same.",
    "Knowledge of another kind than that in the tables: faces, handwriting, free text, what neighbours know.",
    "Mistakes outside the table: who got the real one, logs, backups, this report.",
)

AUDIT_AGAIN = (
    "the released table or the model changes, that is, has another SHA-256 than the one above",
    "anything else is released from the same people, by anybody",
    "the recipients or their conditions change, or the table gets out of their hands",
    "somebody may now know more columns than the quasi-identifiers of this report",
    "an attack is published that this report does not list, or a new version of the toolkit brings one",
    "somebody reports that a person was recognised",
    "the date of expiry has passed",
)

DECISIONS = (
    "release as described in this report",
    "release under the conditions written below",
    "do not release",
    "change and audit again",
)
SIGNERS = ("Prepared by", "Decided by")
SIGNED = ("name", "role", "date", "signature")
REVIEW = ("reviewer", "date of review", "valid until")

TAMPER = (
    "The digest is the SHA-256 of the JSON form of this audit, which holds every number in it. The HTML and the"
    " Markdown form print it.",
    "Whoever has the manifest checks all files at once: `synthkit audit --check report.manifest.json`. For the JSON"
    " form any other program that takes a SHA-256 does as well, such as `sha256sum report.json`.",
    "This shows that a file was changed, not who changed it: whoever can replace the report can replace its manifest"
    " too. So write the first sixteen digits beside the signature (fewer can be forged by trying), or send the digest"
    " another way.",
)

TERMS = (
    (
        "Article 29 Working Party, Opinion 05/2014 (WP216)",
        "singling out; linkability; inference",
        "Three groups of attacks of these names. An attack counts only beyond the same attack on people who were not in"
        " the data.",
        "The Opinion asks whether each is possible at all, for anybody and with all means reasonably likely to be used;"
        " an attack that fails is no such answer.",
    ),
    (
        "HIPAA, 45 CFR 164.514(b)(1)",
        "expert determination; risk that is very small; anticipated recipient; methods and results documented",
        "Measured risks with intervals, methods with sources, and lines for the expert.",
        "The determination itself. What is very small, for which recipient, is the expert's to say.",
    ),
    (
        "NIST SP 800-226 (March 2025)",
        "epsilon and unit of privacy; neighbouring tables; algorithm and implementation; trust and exposure of the"
        " data",
        "Epsilon, delta, unit and adjacency of the ledger, and whether the file keeps to it.",
        "The lower levels of its pyramid: side channels, security, and how the data was collected.",
    ),
    (
        "ISO/IEC 27559:2022",
        "context assessment; data assessment with attack modelling; identifiability assessment with adversarial"
        " testing; mitigation and re-evaluation; governance",
        "Adversarial testing, quantified; average risk and the groups most exposed; reasons to evaluate again.",
        "The context: who receives the table, why somebody would attack it, and which controls bind them.",
    ),
    (
        "ISO/IEC 20889:2018",
        "singling out, linking and inference; synthetic data; formal privacy measurement models such as differential"
        " privacy; quasi-identifier",
        "The same words in the same sense. Synthetic data is a technique there, not a result.",
        "Which technique is fit for which purpose.",
    ),
    (
        "ICO, guidance on anonymisation (March 2025)",
        "motivated intruder; sufficiently remote; spectrum of identifiability; review of the assessment",
        "Attackers who know the columns named above of their targets and read published papers: in statistics more than"
        " a motivated intruder, who need not be a specialist.",
        "An intruder who asks around, searches the internet and other registers, or breaks in.",
    ),
)
TERMS_HEAD = ("source", "its terms", "what this report has to them", "what it leaves open")
TERMS_NOTE = (
    "Whose words are whose. The table says where in these texts the evidence belongs. It does not claim that anything"
    " in them is fulfilled."
)
