"""Verdicts of reviewers: what each leaves behind, how far two agree, and what is carried to other tools and back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.captions.state import Caption
from tasks.errors import InputError
from tasks.review.agreement import agreements, disagreed, judgements, kappa
from tasks.review.labels import Question, Verdict, read_verdicts, to_jsonl, to_label_studio
from tasks.review.queue import Standing, queue
from tasks.review.verdicts import JUDGEMENTS, Judgement, judged, judgement, standing, undone, verdict

NOW = "2026-05-01T12:00:00+00:00"
LATER = "2026-05-02T12:00:00+00:00"
ANSWER = Caption("8_9", "gpt", "Water fills the tile.", "unchecked", NOW, model="m", request_id="r", prompt_sha256="p")
FLAGGED = Caption(
    "8_9",
    "gpt",
    ANSWER.text,
    "flagged",
    NOW,
    flags=("absent-class:water",),
    model="m",
    request_id="r",
    version=2,
    revises=1,
)


def found(text: str) -> list[str]:
    """What a check of a text raises."""
    return ["length"] if len(text.split()) < 3 else []


def say(
    versions: Sequence[Caption], who: str, says: Judgement, text: str | None = None, reason: str | None = None
) -> list[Caption]:
    return [*versions, verdict(versions, reviewer=who, says=says, text=text, reason=reason, now=NOW, found=found)]


def take_back(versions: Sequence[Caption], who: str) -> list[Caption]:
    return [*versions, undone(versions, reviewer=who, now=NOW)]


def test_a_verdict_is_a_further_version_of_the_text_that_was_judged() -> None:
    versions = say([ANSWER, FLAGGED], "ann", "edit", " Trees  fill\nthe tile. ")
    made = versions[-1]
    assert (made.version, made.revises, made.status, made.text) == (3, 2, "edited", "Trees fill the tile.")
    assert (made.reviewer, made.reviewed_at, made.model) == ("ann", NOW, "m")
    assert versions[:2] == [ANSWER, FLAGGED]


def test_an_edited_text_has_its_own_flags_and_a_judged_one_those_that_it_had() -> None:
    versions = say([ANSWER, FLAGGED], "ann", "edit", "Trees.")
    assert versions[-1].flags == ("length",)
    assert say(versions, "ann", "edit", "Trees fill the tile.")[-1].flags == ()
    versions = say(versions, "ben", "reject", reason="wrong")
    assert versions[-1].flags == FLAGGED.flags
    assert take_back(versions, "ben")[-1].flags == ("length",)


def test_two_reviewers_judge_the_same_words() -> None:
    versions = say([ANSWER, FLAGGED], "ann", "edit", "Trees fill the tile.")
    versions = say(versions, "ben", "accept")
    assert versions[-1].text == ANSWER.text
    assert versions[-1].revises == 2
    assert judged(versions) == FLAGGED


def test_a_verdict_taken_back_leaves_what_stood_without_it() -> None:
    versions = take_back(say([ANSWER, FLAGGED], "ann", "accept"), "ann")
    assert (versions[-1].status, versions[-1].text) == ("flagged", ANSWER.text)
    assert standing(versions, "ann") is None
    versions = say(say([ANSWER, FLAGGED], "ben", "edit", "Trees."), "ann", "reject", reason="wrong")
    assert take_back(versions, "ann")[-1].text == "Trees."
    assert take_back(versions, "ann")[-1].status == "edited"


def test_what_stands_again_bears_the_name_of_whoever_said_it_and_when() -> None:
    edited = say([ANSWER, FLAGGED], "ben", "edit", "Trees.")
    rejected = replace(say(edited, "ann", "reject", reason="wrong")[-1], reviewed_at=LATER, created_at=LATER)
    versions = take_back([*edited, rejected], "ann")
    assert (versions[-1].reviewer, versions[-1].reviewed_at, versions[-1].text) == ("ben", NOW, "Trees.")
    assert standing(versions, "ann") is None
    assert standing(versions, "ben") == edited[-1]
    versions = take_back(versions, "ben")
    assert (versions[-1].reviewer, versions[-1].reviewed_at) == (None, None), "nobody's verdict stands"
    assert (versions[-1].status, versions[-1].reason) == ("flagged", FLAGGED.reason)
    assert judged(versions) == FLAGGED, "a verdict that is given next is on the same version"
    assert standing(say(versions, "ann", "accept"), "ann") is not None


@pytest.mark.parametrize(
    ("says", "text", "reason", "message"),
    [
        ("edit", "  ", None, "1 to 10000 characters"),
        ("edit", ANSWER.text, None, "unchanged"),
        ("edit", "x" * 10_001, None, "1 to 10000 characters"),
        ("reject", None, " ", "needs a reason"),
    ],
)
def test_a_verdict_that_lacks_something_is_refused(
    says: Judgement, text: str | None, reason: str | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        say([ANSWER], "ann", says, text, reason)


def test_without_a_text_a_name_or_a_verdict_there_is_nothing_to_judge_or_take_back() -> None:
    with pytest.raises(InputError, match="no answer yet"):
        say([], "ann", "accept")
    with pytest.raises(InputError, match="reviewer's name"):
        say([ANSWER], " ", "accept")
    with pytest.raises(InputError, match="no verdict"):
        take_back(say([ANSWER], "ben", "accept"), "ann")


def test_a_new_answer_asks_for_a_new_verdict() -> None:
    versions = say([ANSWER], "ann", "accept")
    versions.append(Caption("8_9", "gpt", "Another text.", "unchecked", NOW, request_id="s", version=3))
    assert standing(versions, "ann") is None
    assert judged(versions) == versions[-1]


def test_kappa_is_what_cohen_has_it() -> None:
    # A worked table: of 50 things both say yes of 20, no of 15, and differ on 5 and 10.
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    assert kappa(pairs) == pytest.approx(0.4)
    assert kappa([("yes", "no"), ("no", "yes")]) == pytest.approx(-1)
    assert kappa([("yes", "yes"), ("no", "no")]) == 1
    assert kappa([("yes", "yes")] * 3) is None
    assert kappa([]) is None


@given(st.lists(st.tuples(st.sampled_from(JUDGEMENTS), st.sampled_from(JUDGEMENTS)), min_size=1))
def test_kappa_is_symmetric_bounded_and_one_only_when_all_agree(pairs: list[tuple[str, str]]) -> None:
    value = kappa(pairs)
    assert value == kappa([(second, first) for first, second in pairs])
    if value is not None:
        assert -1 <= value <= 1
        assert (value == 1) == all(first == second for first, second in pairs)


def test_agreement_counts_the_texts_that_both_judged_as_they_stand() -> None:
    versions = say(say([ANSWER], "ann", "accept"), "ben", "reject", reason="wrong")
    (said,) = judgements(versions).values()
    assert disagreed(said)
    (found,) = agreements([said])
    assert (found.first, found.second, found.both, found.agreed) == ("ann", "ben", 1, 0)
    (said,) = judgements(take_back(versions, "ben")).values()
    assert not disagreed(said)
    assert agreements([said]) == []


def standings(count: int) -> list[Standing]:
    return [
        Standing("gpt", f"{number}_0", "flagged" if number % 10 == 0 else "accepted", ()) for number in range(count)
    ]


def test_the_queue_holds_every_flagged_caption_then_a_spread_sample() -> None:
    dominant = {f"{number}_0": 1 if number < 90 else 2 for number in range(100)}
    entries = queue(standings(100), dominant, sample=8, seed=3)
    assert [entry.tile_id for entry in entries[:10]] == [f"{number}_0" for number in range(0, 100, 10)]
    sample = entries[10:]
    assert {entry.why for entry in sample} == {"sample"}
    assert Counter(dominant[entry.tile_id] for entry in sample) == {1: 4, 2: 4}
    assert queue(standings(100), dominant, sample=8, seed=3) == entries
    assert queue(standings(100), dominant, sample=8, seed=4) != entries
    assert queue(standings(100), dominant, sample=4, seed=3) == entries[:14]


VERDICTS = st.builds(
    Verdict,
    captioner=st.text(min_size=1),
    tile_id=st.text(min_size=1),
    version=st.integers(1, 9),
    reviewer=st.text(min_size=1),
    verdict=st.sampled_from(JUDGEMENTS),
    text=st.none() | st.text(min_size=1),
    reason=st.none() | st.text(min_size=1),
    reviewed_at=st.none() | st.just(NOW),
)


@given(st.lists(VERDICTS, min_size=1))
def test_verdicts_come_back_from_json_lines_and_from_label_studio_as_they_went(verdicts: list[Verdict]) -> None:
    assert read_verdicts(StringIO("".join(to_jsonl(verdicts)))) == verdicts
    questions = [
        Question(given.captioner, given.tile_id, given.version, "text", (), b"png", (given,)) for given in verdicts
    ]
    assert read_verdicts(StringIO("".join(to_label_studio(questions)))) == verdicts


def test_what_label_studio_itself_exports_is_read() -> None:
    task = {
        "id": 7,
        "data": {"captioner": "gpt", "tile_id": "8_9", "version": 1, "text": "x"},
        "annotations": [
            {"completed_by": 4, "result": [{"from_name": "verdict", "value": {"choices": ["accept"]}}]},
            {"completed_by": 5, "result": [], "was_cancelled": True},
        ],
    }
    assert read_verdicts(StringIO(json.dumps([task]))) == [Verdict("gpt", "8_9", 1, "4", "accept")]


def test_what_is_entered_in_fields_of_ones_own_is_passed_over() -> None:
    result = [
        {"from_name": "stars", "type": "rating", "value": {"rating": 4}},
        {"type": "relation", "from_id": "a", "to_id": "b"},
        {"from_name": "verdict", "value": {"choices": ["reject"]}},
        {"from_name": "reason", "value": {"text": "too dry"}},
    ]
    annotation = {"completed_by": {"email": "a@b.org"}, "created_at": "2026-05-01T14:00:00.5+02:00", "result": result}
    task = {"data": {"captioner": "gpt", "tile_id": "8_9", "version": 1}, "annotations": [annotation]}
    expected = Verdict("gpt", "8_9", 1, "a@b.org", "reject", reason="too dry", reviewed_at=NOW)
    assert read_verdicts(StringIO(json.dumps([task, task | {"annotations": None}]))) == [expected]


def test_label_studio_gives_verdicts_to_its_own_accounts_and_they_come_back_as_their_reviewers() -> None:
    went = (
        Verdict("gpt", "8_9", 1, "anna", "accept", reviewed_at=NOW),
        Verdict("gpt", "8_9", 1, "ben", "edit", "Trees.", "wrong", NOW),
    )
    tasks = json.loads("".join(to_label_studio([Question("gpt", "8_9", 1, "Water.", (), b"png", went)])))
    later = "2026-06-01T09:00:00.123456Z"
    for annotation in tasks[0]["annotations"]:
        assert "completed_by" not in annotation  # an address that it does not know makes it refuse the file
        annotation |= {"completed_by": 1, "created_at": later, "updated_at": later}
    assert read_verdicts(StringIO(json.dumps(tasks))) == list(went)
    # What ben changed there is a newer verdict of his.
    tasks[0]["annotations"][1]["result"][0]["value"] = {"choices": ["reject"]}
    changed = read_verdicts(StringIO(json.dumps(tasks)))[1]
    assert (changed.reviewer, changed.verdict, changed.reviewed_at) == ("ben", "reject", "2026-06-01T09:00:00+00:00")


def test_a_queue_is_read_task_by_task_however_it_is_laid_out() -> None:
    given = [Verdict("gpt", f"{number}_0", 1, "ann", "accept") for number in range(40)]
    questions = [Question("gpt", one.tile_id, 1, "Water.", (), b"x" * 100_000, (one,)) for one in given]
    tasks = json.loads("".join(to_label_studio(questions)))
    for content in (json.dumps(tasks), "\n" + json.dumps(tasks, indent=4) + "\n"):
        assert len(content) > 4 * 2**20
        assert read_verdicts(StringIO(content)) == given
    assert read_verdicts(StringIO(" [ ]")) == []


def test_a_file_that_is_no_text_is_refused() -> None:
    for content in (b"\xff\xfe{", b"[\xff]"):
        with pytest.raises(InputError, match="UTF-8"):
            read_verdicts(TextIOWrapper(BytesIO(content), "utf-8"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no verdict"),
        ('{"captioner": "gpt"}', r"line 1: `tile_id`"),
        ("\n[1", "no JSON"),
        ("{}x", "line 1 is no JSON"),
        ("3", "line 1: expected an object"),
        ("[3]", "task 1: expected an object"),
        ("[{}]", "task 1: `data`: Field required"),
        ('[{"data": {}} {"data": {}}]', "task 1 is no JSON: expected a comma"),
        ('[{"data": {}, "annotations": 5}]', "task 1: `annotations`: "),
        ('[{"data": {}}, {"data": {}, "annotations": [5]}]', "task 2: `annotations.0`: expected an object"),
        ('[{"data": {}, "annotations": [{"result": null}]}]', "task 1: `annotations.0.result`: "),
        ('[{"data": {}, "annotations": [{"result": "x"}]}]', "task 1: `annotations.0.result`: "),
        ('[{"data": {"verdicts": 5}}]', "task 1: "),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        (
            '{"captioner": "gpt", "tile_id": "1_1", "version": 1, "reviewer": "\\ud800", "verdict": "accept"}',
            "reviewer",
        ),
        (json.dumps(vars(Verdict("gpt", "1_1", 1, "ann", "accept", reviewed_at="then"))), "line 1: `reviewed_at`"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_line(content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_verdicts(StringIO(content))


def test_every_status_of_a_verdict_reads_back_as_what_was_said() -> None:
    for says in JUDGEMENTS:
        made = say([ANSWER], "ann", says, "Other words.", "a reason")[-1]
        assert judgement(made) == says
