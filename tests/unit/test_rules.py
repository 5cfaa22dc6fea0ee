"""Rules captions, held against their counts by a reader that shares no code with their writer."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.statistics.patches import PATCHES, Counts, patch_counts
from tasks.wording.rules import describe

CLASSES = {
    1: r"(?:open )?water",
    2: r"(?:developed|built-up) areas?",
    3: r"tree cover|trees|woodland",
    4: r"shrubs|shrubland|shrub cover",
    5: r"grassland|grass cover|grass",
    6: r"cropland|crops",
    7: r"bare (?:land|ground)",
    8: r"snow cover|snow",
    9: r"wetlands?",
    10: r"mangrove cover|mangroves",
    11: r"moss cover|moss",
}
ANY_CLASS = re.compile("|".join(rf"\b(?P<c{index}>{words})\b" for index, words in CLASSES.items()), re.IGNORECASE)

REGIONS = {
    (1,): r"northwest(?:ern quarter)?|(?:top|upper) left(?: quarter)?",
    (2,): r"northeast(?:ern quarter)?|(?:top|upper) right(?: quarter)?",
    (3,): r"southwest(?:ern quarter)?|(?:bottom|lower) left(?: quarter)?",
    (4,): r"southeast(?:ern quarter)?|(?:bottom|lower) right(?: quarter)?",
    (1, 2): r"north(?:ern half)?|(?:top|upper) half",
    (3, 4): r"south(?:ern half)?|(?:bottom|lower) half",
    (1, 3): r"west(?:ern half)?|left half",
    (2, 4): r"east(?:ern half)?|right half",
    (5,): r"middle|centre",
}
REGION_KEYS = list(REGIONS)
ANY_REGION = re.compile("|".join(rf"\b(?P<r{i}>{words})\b" for i, words in enumerate(REGIONS.values())), re.IGNORECASE)
EACH_QUARTER = re.compile(
    r"\b(?:all|each of the|none of the) four quarters|\bevery quarter|whichever quarter|quarter by quarter",
    re.IGNORECASE,
)

SIZES = {
    "tiny": (0, 9),
    "traces": (0, 9),
    "slight": (0, 9),
    "small": (10, 19),
    "medium": (20, 49),
    "moderate": (20, 49),
    "large": (50, 79),
    "substantial": (50, 79),
    "vast": (80, 100),
}
ANY_SIZE = re.compile(r"\b(?P<word>tiny|traces|slight|small|medium|moderate|large|substantial|vast)\b", re.IGNORECASE)

FORBIDDEN = re.compile(
    r"\b(?:possibl[ey]|likely|perhaps|appear\w*|chang\w*|transition\w*|dynamic\w*|context|segmentation|may|might"
    r"|seem\w*|probabl[ey]|suggest\w*|presumabl[ey]|image\w*|similarly|compared|prompt|instruction\w*|constraint\w*|legend"
    r"|statistic\w*|given|percent\w*|first|second|third|fourth|edge|field\w*|forest\w*|river\w*|coast\w*|green|red|blue"
    r"|white|brown|yellow|gr[ae]y|black|cyan|pink|purple)\b|[\d%*#_{}\[\]<>|]|\n",
    re.IGNORECASE,
)


def named(text: str) -> list[int]:
    return [int(match.lastgroup[1:]) for match in ANY_CLASS.finditer(text) if match.lastgroup]


def regions(text: str) -> list[tuple[int, ...]]:
    return [REGION_KEYS[int(match.lastgroup[1:])] for match in ANY_REGION.finditer(text) if match.lastgroup]


def percent(part: int, whole: int) -> int:
    return (200 * part + whole) // (2 * whole)


def faults(text: str, counts: Counts) -> list[str]:
    """All that a caption says and the counts do not, or that no caption may say."""
    found = [f"forbidden: {match.group()}" for match in FORBIDDEN.finditer(text)]
    whole = counts[0].astype(int)
    valid = int(whole[1:].sum())
    classes = set(named(text))
    found += [f"absent: {index}" for index in classes if not whole[index]]
    leaders = {index for index in CLASSES if valid and whole[index] == whole[1:].max()}
    must = leaders | {index for index in CLASSES if valid and 10 * whole[index] >= valid}
    found += [f"missing: {index}" for index in must - classes]
    if not 40 <= len(text.split()) <= 160:
        found.append(f"length: {len(text.split())}")
    sentences = re.split(r"(?<=\.) ", text)
    if not all(re.fullmatch(r"[A-Z][^.]*\.", sentence) for sentence in sentences):
        found.append("not sentences")
    firsts = [sentence.split()[0] for sentence in sentences]
    if any(len(set(firsts[i : i + 3])) == 1 for i in range(len(firsts) - 2)):
        found.append("three sentences start alike")
    if valid and not leaders & set(named(sentences[0])):
        found.append("opening without the leading class")
    for sentence in sentences:
        found += [f"{fault}: {sentence}" for fault in sentence_faults(sentence, counts.astype(int))]
    return found


def sentence_faults(sentence: str, counts: Counts) -> list[str]:
    found = []
    classes, places = named(sentence), regions(sentence)
    if len(set(places)) > 1:
        found.append("two regions")
    for index in classes:
        if any(not counts[list(place), index].sum() for place in places):
            found.append(f"region-empty {index}")
        if EACH_QUARTER.search(sentence) and not counts[1:5, index].all():
            found.append(f"not in every quarter {index}")
    here = counts[list(places[0])].sum(axis=0) if places else counts[0]
    found += size_faults(sentence, here)
    if places and classes:
        found += place_faults(sentence, counts, places[0], here)
    found += extent_faults(sentence, counts, here)
    return found


CLASS_WORD = "|".join(CLASSES.values())
SIZE_OF_CLASSES = re.compile(
    rf"\b(?P<word>\w+)(?: amounts| portions?| shares?)? of "
    rf"(?P<about>(?:{CLASS_WORD})\b(?:(?:, | and )(?:{CLASS_WORD})\b)*)",
    re.IGNORECASE,
)
SIZE_OF_REGION = re.compile(r"\b(?P<word>\w+) (?:share|portion)s?\b(?! of (?:" + CLASS_WORD + "))", re.IGNORECASE)


def size_faults(sentence: str, here: Counts) -> list[str]:
    """Sizes are said of the classes that follow "share of", or of the class that holds a share of a region."""
    said = [(match["word"], named(match["about"])) for match in SIZE_OF_CLASSES.finditer(sentence)]
    for match in SIZE_OF_REGION.finditer(sentence):
        said.append((match["word"], named(sentence[: match.start()])[-1:] or named(sentence[match.end() :])[:1]))
    said = [(word.lower(), about) for word, about in said if word.lower() in SIZES]
    spoken = [match["word"] for match in ANY_SIZE.finditer(sentence.replace("vast majority", ""))]
    found = [] if len(spoken) == len(said) else [f"sizes of nothing: {spoken}"]
    for word, about in said:
        low, high = SIZES[word]
        shares = [percent(int(here[index]), int(here[1:].sum())) for index in about]
        found += [f"{word} {share}" for share in shares if not low <= share <= high]
    return found


ONLY = re.compile(r"only in|confined to|entirely to|^All of the|^Only the|lie in .* alone", re.IGNORECASE)
MOSTLY = re.compile(rf"mostly in|mainly in|concentrated in|most of the (?:traces of )?(?:{CLASS_WORD})", re.IGNORECASE)
PEAK = re.compile(
    r"than any other quarter|than in any other|^The most .* is found|most widespread in|(?:is|are) most common in"
)


def place_faults(sentence: str, counts: Counts, place: tuple[int, ...], here: Counts) -> list[str]:
    """Whether classes lie where they are said to lie."""
    found = []
    for index in named(sentence):
        inside, total = int(here[index]), int(counts[0, index])
        if ONLY.search(sentence) and "recorded" not in sentence and "nothing" not in sentence:
            is_alone_there = inside == here[1:].sum()
            if inside != total and not (sentence.startswith("Only") and is_alone_there):
                found.append(f"not only there {index}")
        elif MOSTLY.search(sentence) and 3 * inside < 2 * total:
            found.append(f"not mostly there {index}")
        elif PEAK.search(sentence) and (len(place) > 1 or inside != counts[1:5, index].max() or place == (5,)):
            found.append(f"not most there {index}")
    return found


NEARLY_ALL = re.compile(
    r"almost (?:all|wholly|entirely|the whole)|nearly (?:all|the whole)|virtually|hardly any room"
    r"|for nearly everything|little interrupts|nothing interrupts|close to uniform|nearly uniform|little but",
    re.IGNORECASE,
)
VAST = re.compile(r"vast majority|overwhelmingly|by far|far outweigh", re.IGNORECASE)
MOST = re.compile(
    r"more than half of (?!the total belongs)|greater part|mostly made up|takes? up most of", re.IGNORECASE
)
WHOLLY = re.compile(
    r"(?<!almost )(?:wholly|nothing but|alone\.$)|completely|only cover|without exception|end to end",
    re.IGNORECASE,
)


LEADS = re.compile(
    r"\bleads?\b|\bled by|ahead of|outweigh|prevail|dominat|dominant|greatest|most widespread (?:class|cover)"
    r"|most common (?:class|cover)|in front|followed by|more than half of|greater part|hardly any room",
    re.IGNORECASE,
)


def extent_faults(sentence: str, counts: Counts, here: Counts) -> list[str]:
    """Whether the leading class of a region, or of every quarter, is the one named and holds as much as is said."""
    classes = named(sentence)
    if not classes or MOSTLY.search(sentence) or ONLY.search(sentence) or PEAK.search(sentence):
        return []
    found = []
    for row in counts[1:5] if EACH_QUARTER.search(sentence) else [here]:
        most, pixels, valid = int(row[1:].max()), int(row.sum()), int(row[1:].sum())
        if LEADS.search(sentence) and max(row[classes]) < most:
            found.append("leader not named")
        if NEARLY_ALL.search(sentence) and 100 * most < 95 * pixels:
            found.append("not nearly all")
        elif WHOLLY.search(sentence) and not NEARLY_ALL.search(sentence) and most != valid:
            found.append("not wholly")
        if VAST.search(sentence) and 100 * most < 80 * pixels:
            found.append("not vast")
        if MOST.search(sentence) and 2 * most <= pixels:
            found.append("not most")
    return found


def made_map(rng: np.random.Generator, n_classes: int, no_data: bool) -> Counts:
    """Counts of a patchy map: cells of points of random weight, some speckled."""
    ids = rng.choice(np.arange(1, 12), n_classes, replace=False)
    values = np.append(ids, 0) if no_data else ids
    n_points = int(rng.integers(len(values), 4 * len(values) + 2))
    points = rng.uniform(0, 64, (n_points, 2))
    weights = rng.uniform(0.6, 1.6, n_points)
    classes = np.concatenate([values, rng.choice(values, n_points - len(values))])
    rows, columns = np.mgrid[:64, :64]
    distances = ((rows[..., None] - points[:, 0]) ** 2 + (columns[..., None] - points[:, 1]) ** 2) * weights
    pixels = classes[distances.argmin(axis=-1)].repeat(4, axis=0).repeat(4, axis=1)
    if rng.random() < 0.4:
        speckled = rng.random((256, 256)) < rng.choice([0.0005, 0.03])
        pixels = np.where(speckled, rng.choice(ids, (256, 256)), pixels)
    one_hot = pixels.reshape(4, 64, 4, 64, 1) == np.arange(12)
    return patch_counts(one_hot.sum(axis=(1, 3), dtype=np.int64))


@pytest.fixture(scope="module")
def made() -> dict[str, Counts]:
    """500 made maps of one to eleven classes, a seventh of them with no data."""
    rng = np.random.default_rng(20)
    return {f"{8000 + i}_{7000 + 3 * i}": made_map(rng, 1 + i % 11, no_data=i % 7 == 6) for i in range(500)}


@pytest.fixture(scope="module")
def captions(made: dict[str, Counts]) -> dict[str, str]:
    return {tile_id: describe(tile_id, counts) for tile_id, counts in made.items()}


def test_captions_of_made_maps_say_only_what_is_true(made: dict[str, Counts], captions: dict[str, str]) -> None:
    wrong = {tile_id: found for tile_id, text in captions.items() if (found := faults(text, made[tile_id]))}
    assert not wrong


def test_the_reader_of_these_tests_is_not_blind(made: dict[str, Counts], captions: dict[str, str]) -> None:
    mirrored = [
        PATCHES.index(patch) for patch in ("overall", "top_right", "top_left", "bottom_right", "bottom_left", "middle")
    ]
    turned = {tile_id: counts for tile_id, counts in made.items() if (counts[1:5, 1:] > 0).any(axis=0).sum() > 2}
    caught = [bool(faults(captions[tile_id], counts[mirrored])) for tile_id, counts in turned.items()]
    assert np.mean(caught) > 0.5
    for tile_id, counts in turned.items():
        without_leader = np.where(np.arange(12) == counts[0, 1:].argmax() + 1, 0, counts)
        assert faults(captions[tile_id], without_leader)


def test_no_two_tiles_of_different_statistics_share_a_text(made: dict[str, Counts], captions: dict[str, str]) -> None:
    statistics = defaultdict(set)
    for tile_id, text in captions.items():
        statistics[text].add(made[tile_id].tobytes())
    assert all(len(different) == 1 for different in statistics.values())


def test_captions_are_varied(captions: dict[str, str]) -> None:
    openings = Counter(" ".join(text.split()[:3]) for text in captions.values())
    assert max(openings.values()) <= 0.2 * len(captions)
    frames = set()
    for text in captions.values():
        masked = ANY_SIZE.sub("S", ANY_REGION.sub("R", ANY_CLASS.sub("C", text)))
        frames.update(re.split(r"(?<=\.) ", masked))
    assert len(frames) >= 100


def nearly_one_class(rng: np.random.Generator, main: int, other: int, most: int) -> Counts:
    """A tile of one class with a few pixels of another somewhere: the hardest to tell apart."""
    cells = np.zeros((4, 4, 12), dtype=np.int64)
    cells[..., other] = rng.integers(0, most, (4, 4)) * (rng.random((4, 4)) < 0.2)
    cells[..., main] = 4096 - cells[..., other]
    return patch_counts(cells)


def test_tiles_of_nearly_one_class_are_told_apart_and_openings_vary() -> None:
    rng = np.random.default_rng(3)
    tiles = {f"{i}_{i}": nearly_one_class(rng, 3, 7, 60) for i in range(200)}
    texts = {tile_id: describe(tile_id, counts) for tile_id, counts in tiles.items()}
    assert len(set(texts.values())) >= len({counts.tobytes() for counts in tiles.values()}) > 190
    openings = Counter(" ".join(text.split()[:3]) for text in texts.values())
    assert max(openings.values()) <= 40
    assert not {tile_id: found for tile_id, text in texts.items() if (found := faults(text, tiles[tile_id]))}


@st.composite
def tiles(draw: st.DrawFn) -> Counts:
    """Counts of any tile that a 4 x 4 grid of cells can make, of several sizes, with and without data."""
    side = draw(st.sampled_from([2, 9, 56, 64, 128]))
    present = draw(st.lists(st.integers(0, 11), min_size=1, max_size=12, unique=True))
    cells = np.zeros((4, 4, 12), dtype=np.int64)
    for row in range(4):
        for column in range(4):
            rest = side * side
            for index in draw(st.permutations(present))[:-1]:
                part = draw(st.one_of(st.just(0), st.just(rest), st.just(rest // 2), st.integers(0, rest)))
                cells[row, column, index] += part
                rest -= part
            cells[row, column, present[-1]] += rest
    return patch_counts(cells)


@settings(max_examples=150, deadline=None)
@given(counts=tiles(), tile_id=st.text(st.characters(codec="utf-8"), max_size=12))
def test_any_tile_is_told_truly(counts: Counts, tile_id: str) -> None:
    assert faults(describe(tile_id, counts), counts) == []


@pytest.mark.parametrize("class_id", range(1, 12))
def test_a_tile_of_one_class_is_told_at_length_in_many_ways(class_id: int) -> None:
    cells = np.zeros((4, 4, 12), dtype=np.int64)
    cells[..., class_id] = 4096
    counts = patch_counts(cells)
    texts = [describe(f"{i}_1", counts) for i in range(60)]
    assert len(set(texts)) > 50
    assert [found for text in texts if (found := faults(text, counts))] == []


def test_equal_counts_are_not_called_more_or_less() -> None:
    cells = np.zeros((4, 4, 12), dtype=np.int64)
    cells[..., 1] = cells[..., 5] = 2048
    texts = [describe(f"{i}_2", patch_counts(cells)) for i in range(40)]
    for text in texts:
        assert set(named(re.split(r"(?<=\.) ", text)[0])) == {1, 5}
        assert not re.search(
            r"(?<!no cover )ahead of|behind|followed|greatest|dominant class|more than half|prevail|outweigh", text
        )


@pytest.mark.parametrize(("quarter", "named_as"), [((0, 0), (1,)), ((2, 2), (4,))])
def test_pixels_without_data_are_told_with_their_place(quarter: tuple[int, int], named_as: tuple[int, ...]) -> None:
    cells = np.zeros((4, 4, 12), dtype=np.int64)
    cells[..., 9] = 4096
    row, column = quarter
    cells[row : row + 2, column : column + 2] = 0
    cells[row : row + 2, column : column + 2, 0] = 4096
    for i in range(20):
        text = describe(f"{i}_3", patch_counts(cells))
        gap = [s for s in re.split(r"(?<=\.) ", text) if re.search(r"no data|not mapped|Data are missing", s)]
        assert named_as in regions(gap[0])


def test_a_tile_without_any_data_is_called_blank() -> None:
    counts = np.zeros((len(PATCHES), 12), dtype=np.int32)
    counts[:, 0] = [65536, 16384, 16384, 16384, 16384, 16384]
    for i in range(20):
        text = describe(f"{i}_4", counts)
        assert named(text) == []
        assert faults(text, counts) == []
        assert "no data" in text or "carry data" in text


def test_noise_is_not_worth_a_word() -> None:
    cells = np.zeros((4, 4, 12), dtype=np.int64)
    cells[..., 1] = 4096
    cells[0, 0, 1] -= 19
    cells[0, 0, 3] = 19
    assert all(3 not in named(describe(f"{i}_5", patch_counts(cells))) for i in range(30))


def test_captions_are_the_same_in_every_process(made: dict[str, Counts], captions: dict[str, str]) -> None:
    tile_id, counts = next(iter(made.items()))
    code = (
        "import numpy, sys; from tasks.wording.rules import describe;"
        f"print(describe({tile_id!r}, numpy.array({counts.tolist()}, dtype='int64')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == captions[tile_id]


def test_a_caption_stays_as_it_was_published() -> None:
    # A change here is a new edition: RULES_VERSION rises with it.
    cells = np.zeros((4, 4, 12), dtype=np.int64)
    cells[..., 1] = 3000
    cells[..., 3] = 1096
    assert describe("8491_8186", patch_counts(cells)) == (
        "As the dominant cover, water takes up more than half of this scene, ahead of trees. In every "
        "quarter, open water makes up the greater part. Tree cover has a part in every quarter. The "
        "middle is mainly made up of water, though a medium portion of woodland is found there too. On "
        "the whole, this is a scene in which open water prevails."
    )


def test_counts_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(6, 12\)"):
        describe("1_1", np.zeros((5, 12), dtype=np.int32))
