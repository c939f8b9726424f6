"""Texts on the command line reach the config as they were typed."""

import inspect
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import get_object
from omegaconf import OmegaConf

from merec.cli.arguments import split_overrides, split_paths
from merec.config import compose_node
from merec.config_groups import list_choices
from merec.errors import InputError
from merec.override_errors import walk
from merec.quoting import MIXED_KEYS, TEXT_KEYS, is_text_key, quote_texts

AWKWARD = [
    "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx",
    "实验数据/CASME2-RAW",
    "Größe/naïve",
    "a=b",
    "[1]",
    "{x}",
    "{a: b}",
    "x#y; z & !",
    "it's",
    'say "so"',
    "a b  c",
    " a ",
    "2024",
    "1e3",
    "true",
    "a,b",
    "a\\",
    "a\\'b",
    "f(1, 2)",
    "choice(a,b)",
    "@x%$y",
    "[Pp]art_B*/spN[Oo].*/*",
]
CHOICES = {  # `str` in a signature, but one of a few words, which need no quotes
    "classes", "frames", "layout", "choice", "modality", "representation", "scaling", "freeze", "pretrain",
    "target", "hold_out", "engine", "selection", "estimator", "difference", "encoder", "mode", "z",
    "held_out", "view_region", "source",
}  # fmt: skip


@pytest.mark.parametrize("text", AWKWARD)
def test_any_text_is_read_as_it_was_typed(text):
    (quoted,) = quote_texts([f"remark={text}"])
    assert OverridesParser.create().parse_override(quoted).value() == text


def test_any_text_arrives_in_the_config_as_it_was_typed(composed):
    keys = ["remark", "corpus.root", "corpus.annotation", "features.root", "task.weights"]
    for texts in zip(*[iter([*AWKWARD, *AWKWARD[:3]])] * len(keys), strict=True):
        given = dict(zip(keys, texts, strict=True))
        cfg = composed("corpus=casme3", *quote_texts([f"{k}={v}" for k, v in given.items()]))
        assert {key: OmegaConf.select(cfg, key) for key in keys} == given


@pytest.mark.parametrize("text", ["'a b'", '"a,b"'])
def test_what_is_quoted_already_stays(text):
    assert quote_texts([f"remark={text}"]) == [f"remark={text}"]


@pytest.mark.parametrize(
    "text",
    ["remark=plain", "seed=3", "~task.weights", "-m", "task=loso", "corpus.root=null",
     "datamodule.channels=[u,v]", "corpus.root=${oc.env:HOME}/x", "corpus.intrinsics={fx: 1}",
     "hydra.launcher.n_jobs=2", "+x.y=1", "--cfg"],
)  # fmt: skip
def test_what_the_grammar_reads_rightly_stays(text):
    assert quote_texts([text]) == [text]


def test_an_interpolation_in_a_text_with_parentheses_is_still_resolved(composed, monkeypatch):
    monkeypatch.setenv("SOMEWHERE", "/there")
    cfg = composed(*quote_texts(["corpus.root=${oc.env:SOMEWHERE}/cas(me)3"]))
    assert cfg.corpus.root == "/there/cas(me)3"


def test_the_home_folder_stands_for_a_tilde_in_paths_alone(monkeypatch):
    monkeypatch.setenv("HOME", "/here")
    assert quote_texts(["corpus.root=~/data"]) == ["corpus.root=/here/data"]
    assert quote_texts(["hydra.run.dir=~/a b"]) == ["hydra.run.dir=/here/a b"]
    assert quote_texts(["remark=~5 epochs"]) == ["remark='~5 epochs'"]


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("a,b", ["a", "b"]),
        ("cas(me)3,实验", ["cas(me)3", "实验"]),
        ("k=64, demo scale", ["k=64, demo scale"]),
        ("'a,b',c", ["a,b", "c"]),
        ("2024,2025", ["2024", "2025"]),
        ("f(a,b),c", ["f(a,b)", "c"]),
        ("choice(a,b)", ["a", "b"]),
    ],
)
def test_in_a_multirun_a_comma_separates_texts_unless_a_space_follows_or_quotes_hold_it(
    value, texts
):
    (quoted,) = quote_texts([f"remark={value}"], multirun=True)
    override = OverridesParser.create().parse_override(quoted)
    if override.is_sweep_override():
        entry = list(override.sweep_string_iterator())
        read = [OverridesParser.create().parse_override(f"k={one}").value() for one in entry]
    else:
        read = [override.value()]
    assert read == texts


def test_in_a_multirun_a_comma_of_a_folder_that_is_there_separates_nothing(tmp_path):
    folder = tmp_path / "a,b"
    folder.mkdir()
    (quoted,) = quote_texts([f"corpus.root={folder}"], multirun=True)
    assert quoted == f"corpus.root='{folder}'"


def test_another_key_s_value_that_no_grammar_reads_is_text_but_a_broken_list_is_not():
    assert quote_texts(["+backbone.file=cas(me)"]) == ["+backbone.file='cas(me)'"]
    assert quote_texts(["datamodule.channels=[u,v"]) == ["datamodule.channels=[u,v"]


@pytest.mark.parametrize("corpus", list_choices("corpus"))
def test_every_text_that_a_constructor_takes_is_known_to_be_text(composed, corpus):
    cfg = composed(f"corpus={corpus}", "task=loso", "recipe=ststnet")
    node = OmegaConf.to_container(cfg, resolve=False)
    node["corpus"] = OmegaConf.to_container(compose_node("corpus", [f"corpus={corpus}"]))
    unknown = []
    for path, part in walk(
        {key: node[key] for key in ("corpus", "features", "datamodule", "task")}
    ):
        if not isinstance(part, dict) or "_target_" not in part:
            continue
        parameters = inspect.signature(get_object(part["_target_"])).parameters
        for name in part:
            annotation = str(getattr(parameters.get(name), "annotation", ""))
            kinds = {
                kind.strip() for kind in annotation.removeprefix("<class '").rstrip("'>").split("|")
            }
            key = f"{path}.{name}"
            if kinds <= {"str", "None", "Path", "pathlib.Path"} and name not in CHOICES:
                unknown += [key] if not is_text_key(key, (*TEXT_KEYS, *MIXED_KEYS)) else []
    assert not unknown, "add them to merec/quoting.py, or to CHOICES of this test"


SHEET = "Subject,Filename,OnsetFrame,ApexFrame,OffsetFrame,Action Units,Estimated Emotion\n"
ROWS = "1,EP02_01f,46,59,86,12,happiness\n2,EP02_02f,46,59,86,4,disgust\n"


@pytest.mark.parametrize("name", ["cas(me)", "实验数据", "2024", "a=b [1]"])
def test_the_doctor_reads_a_corpus_in_a_folder_of_any_name(merec, tmp_path, name):
    root = tmp_path / name
    root.mkdir()
    (root / "CASME2-coding-20140508.csv").write_text(SHEET + ROWS)
    done = merec(
        "doctor",
        "corpus=casme2",
        f"corpus.root={name}",
        "corpus.expected=null",
        "jobs=1",
        "out=null",
    )
    assert "2 samples" in done.stdout, done.stderr


def test_notes_of_other_scripts_give_other_folders(composed):
    from merec.config_schema import _slug

    assert _slug("remark-实验一") != _slug("remark-实验二")
    assert all(len(_slug("验" * n).encode()) <= 120 for n in (1, 40, 41, 200))
    assert Path(_slug("a/b")).name == "a-b"


@pytest.mark.parametrize("key", ["corpus.root", "features.root", "hydra.run.dir", "task.weights"])
def test_a_path_that_the_shell_did_not_fill_in_or_that_is_an_address_is_refused(key):
    with pytest.raises(InputError, match=r"\$SCRATCH was not filled in; is it in single quotes"):
        quote_texts([f"{key}=$SCRATCH/x"])
    with pytest.raises(InputError, match=f"{key}=https://a.org/b is an address"):
        quote_texts([f"{key}=https://a.org/b"])
    assert quote_texts(["remark=$SCRATCH/x"])


def test_a_space_that_hides_a_folder_is_pointed_out(tmp_path):
    with pytest.raises(InputError, match="but '.*' does; take away the space at its end"):
        quote_texts([f"corpus.root={tmp_path} "])
    with pytest.raises(InputError, match="take away the space at its end"):
        split_paths([f"{tmp_path} "], {}, "report")
    (tmp_path / "a ").mkdir()
    (tmp_path / "$A").mkdir()
    given = [f"{tmp_path}/a ", f"{tmp_path}/$A"]
    assert split_paths(given, {}, "report")[0] == [*map(Path, given)]


@pytest.mark.parametrize("text", ["https://wandb.ai/me/merec", "$HOME/runs"])
def test_verbs_refuse_such_folders_too(text):
    with pytest.raises(InputError, match="is an address|was not filled in"):
        split_paths([text], {}, "report")
    with pytest.raises(InputError, match="is an address|was not filled in"):
        split_overrides("doctor", [f"out={text}"], {"out": ""}, ())
