"""Does every choice fit the code, and is a misfit explained?"""

import re
import sys
from itertools import product
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from omegaconf import OmegaConf

from merec.cli.train_arguments import list_keys
from merec.config import compose_node, takes
from merec.config_check import check
from merec.config_groups import home, list_choices
from merec.errors import InputError
from merec.override_errors import explain_override
from merec.run_folder.identity import configuration_hash, flatten


def options(group: str) -> list[str]:
    return sorted(file.stem for file in (home() / "conf" / group).glob("[!_]*.yaml"))


@pytest.mark.parametrize(
    ("backbone", "task"),
    [  # each backbone and each task once, all pairs in `make test-all`
        pytest.param(b, t, marks=[pytest.mark.slow] * (b != "ststnet" and t != "loso"))
        for b, t in product(options("backbone"), options("task"))
    ],
)
def test_every_choice_fits_the_code(composed, backbone, task):
    check(composed(f"backbone={backbone}", f"task={task}", "logger=csv"))


@pytest.mark.parametrize("trainer", options("trainer"))
def test_every_trainer_fits_the_code(composed, trainer):
    check(composed(f"trainer={trainer}"))


@pytest.mark.parametrize("logger", options("logger"))
@pytest.mark.parametrize("debug", [[], *([f"debug={name}"] for name in options("debug"))])
def test_every_logger_and_debug_choice_fits_the_code(composed, logger, debug):
    check(composed(f"logger={logger}", *debug))


@pytest.mark.parametrize("study", [file.stem for file in (home() / "experiments").glob("*.yaml")])
def test_every_study_fits_the_code_and_states_its_claim(composed, study):
    check(composed(f"experiments={study}"))
    lines = (home() / "experiments" / f"{study}.yaml").read_text().splitlines()
    assert lines[0] == "# @package _global_"
    assert lines[1].startswith("# ")


@pytest.mark.parametrize(
    "rows",
    sorted((home() / "experiments").glob("*/*.yaml")),
    ids=lambda rows: "/".join(rows.parts[-2:]),
)
def test_what_a_study_sets_for_a_backbone_alone_is_set_for_it_alone(composed, rows):
    cfg = composed(f"experiments={rows.parent.name}", f"backbone={rows.stem}")
    check(cfg)
    other = composed(f"experiments={rows.parent.name}", "backbone=ststnet")
    values = flatten(yaml.safe_load(rows.read_text()))
    assert values
    for key, value in values.items():
        assert OmegaConf.select(cfg, key) == value
        assert OmegaConf.select(other, key) != value


def test_there_are_studies():
    assert list((home() / "experiments").glob("*.yaml"))


def test_a_key_no_constructor_takes_is_named_with_its_neighbour(composed):
    cfg = composed("+backbone.steams=3", "+datamodule.bach_size=3", "+sed=3")
    with pytest.raises(InputError) as caught:
        check(cfg)
    message = str(caught.value)
    assert (
        "backbone.steams: merec.backbones.STSTNet has no steams; did you mean streams?" in message
    )
    assert "did you mean batch_size?" in message
    assert "sed: merec train has no sed; did you mean seed?" in message


def test_a_class_that_does_not_exist_is_named(composed):
    with pytest.raises(InputError, match=r"backbone\._target_: merec\.backbones\.STNet cannot be"):
        check(composed("backbone._target_=merec.backbones.STNet"))


def test_a_class_that_does_not_exist_is_one_line(merec):
    done = merec("train", "backbone._target_=merec.backbones.STNet")
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "merec: error: the config does not fit the code: backbone._target_: merec."
    )


def test_a_missing_argument_is_named(composed):
    cfg = composed()
    OmegaConf.set_struct(cfg, False)
    del cfg.datamodule.batch_size
    with pytest.raises(InputError, match="datamodule: .*ClipDataModule needs batch_size"):
        check(cfg)


def test_a_value_left_open_is_named(composed):
    with pytest.raises(InputError, match="trainer.max_epochs has no value"):
        check(composed("trainer.max_epochs=???"))


def test_runs_differ_in_hash_unless_only_seed_folds_logger_or_data_folder_differ(composed):
    def configuration(*overrides: str) -> str:
        cfg = composed("logger=none", *overrides)
        cfg.name = "x"
        return configuration_hash(OmegaConf.to_container(cfg, resolve=True))

    same = configuration()
    assert configuration("seed=3") == same
    assert configuration("folds=0-3") == same
    assert configuration("corpus.root=elsewhere") == same
    assert configuration("trainer.max_epochs=3") != same
    assert configuration("backbone.dropout=0.1") != same
    assert configuration("task.selection=inner") != same
    assert configuration("task.pretrain=macro") != same
    assert configuration("loss=cross_entropy") == same
    assert configuration("loss=focal") not in (same, configuration("loss=focal", "loss.gamma=1"))


def test_an_unknown_override_is_explained_by_the_keys_there_are(composed):
    error = Exception("Could not override 'backbone.dropuot'.\nKey 'dropuot' is not in struct")
    assert explain_override(error, composed()) == (
        "backbone.dropuot: backbone has no dropuot; did you mean dropout?"
    )
    assert explain_override(Exception("something else"), composed()) is None


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("lr", "there is no lr; did you mean recipe.optimizer.lr?"),
        ("optimizer.lr", "there is no optimizer.lr; did you mean recipe.optimizer.lr?"),
        ("optimizer.weight_decay", "did you mean +recipe.optimizer.weight_decay?"),
        ("optimizer", "did you mean recipe.optimizer._target_=CLASS?"),
        ("epochs", "did you mean trainer.max_epochs?"),
        ("max_epochs", "did you mean trainer.max_epochs?"),
        ("batch_size", "did you mean datamodule.batch_size?"),
        ("experiment", "did you mean experiments?"),
        ("model", "did you mean backbone?"),
        (
            "recipe.optimizer.weight_decay",
            "takes weight_decay, which the config leaves to it: write +rec",
        ),
        ("recipe.optimizer.wieght_decay", "did you mean +recipe.optimizer.weight_decay=…?"),
        ("recipe.optimizer.lrr", "did you mean lr?"),
        ("trainer.gradient_clip_val", "write +trainer.gradient_clip_val=…"),
    ],
)
def test_a_key_that_is_not_there_leads_to_the_right_one_or_to_how_it_is_added(composed, key, line):
    error = Exception(f"Could not override '{key}'.")
    messages = explain_override(error, composed("recipe=ststnet"))
    assert line in messages
    if "write +" in line:  # what it advises works
        composed(f"+{key}=0.5")


@pytest.mark.parametrize("corpus", options("corpus"))
def test_every_corpus_fits_the_code_and_is_composed_alone(corpus, monkeypatch):
    monkeypatch.setenv("MEREC_DATA", "somewhere")
    node = compose_node("corpus", [f"corpus={corpus}", "corpus.name=mine"])
    assert node["name"] == "mine"
    assert takes(node, "name")
    assert not takes(node, "nam")


def test_a_choice_or_key_that_a_group_has_not_is_named_with_its_neighbour():
    assert list_choices("trainer") == ["auto", "cpu", "ddp", "gpu"]
    with pytest.raises(InputError, match="there is no trainer=cpv; did you mean cpu"):
        compose_node("trainer", ["trainer=cpv"])
    with pytest.raises(InputError, match="trainer.devics: trainer has no devics; did you mean dev"):
        compose_node("trainer", ["trainer=cpu", "trainer.devics=2"])
    with pytest.raises(InputError, match=r"trainer\.devics: .*Trainer has no devics; did you mean"):
        compose_node("trainer", ["trainer=cpu", "+trainer.devics=2"])


def test_the_recipe_follows_the_backbone_and_yields_to_the_command_line(composed):
    assert composed("backbone=ststnet").trainer.max_epochs == 800
    assert composed("backbone=ststnet").recipe.optimizer.lr == pytest.approx(5e-5)
    assert composed("trainer.max_epochs=5").trainer.max_epochs == 5


def test_the_tuned_recipe_of_two_views_is_a_choice_and_the_published_one_the_default(composed):
    published = composed("backbone=dual_view")
    assert published.recipe.pretrain.optimizer._target_ == "torch.optim.SGD"
    assert published.task.pretrain_epochs == 240
    assert published.task.pretrain_steps is None
    assert published.task.contrast.mode == "softmax"
    tuned = composed("backbone=dual_view", "recipe=dual_view_tuned", "task.pretrain_steps=300")
    check(tuned)
    assert tuned.task.contrastive.optimizer._target_ == "torch.optim.Adam"
    assert tuned.task.contrastive.scheduler.T_max == tuned.task.pretrain_steps == 300
    assert tuned.task.pretrain_epochs is None
    epochs = ["task.pretrain_steps=null", "task.pretrain_epochs=7"]
    by_epoch = composed("backbone=dual_view", "recipe=dual_view_tuned", *epochs)
    assert by_epoch.task.contrastive.scheduler.T_max == 7
    assert (tuned.task.contrast.mode, tuned.task.contrast.temperature) == ("in_batch", 0.05)
    assert (tuned.task.pool.augment.apart, tuned.task.pool.augment.crop) == (True, 0.3)


def test_a_loss_is_one_override_and_its_keys_are_checked(composed):
    check(composed("loss=focal", "loss.gamma=1"))
    with pytest.raises(
        InputError, match=r"loss\.gama: .*focal_loss has no gama; did you mean gamma"
    ):
        check(composed("loss=focal", "+loss.gama=1"))


def test_the_wheel_takes_every_group_of_choices_but_the_user_s_own():
    import tomllib

    root = Path(__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text())
    taken = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert {f"conf/{path.name}" for path in (root / "conf").iterdir()} - taken.keys() == {
        "conf/local"
    }


def test_a_key_that_no_recipe_has_is_refused(composed):
    with pytest.raises(InputError, match=r"recipe\.schedular: .* did you mean scheduler"):
        check(composed("+recipe.schedular=1"))


def test_how_folds_share_a_machine_makes_no_other_configuration(composed):
    one, other = (
        configuration_hash(
            OmegaConf.to_container(composed("logger=none", "name=x", *more), resolve=True)
        )
        for more in ([], ["task.engine=stacked", "task.workers=1", "backbone.compiled=false"])
    )
    assert one == other


def test_what_a_task_does_not_use_makes_no_other_configuration(composed):
    def configuration(*overrides: str) -> str:
        cfg = composed("logger=none", "task=baseline", "name=x", *overrides)
        return configuration_hash(OmegaConf.to_container(cfg, resolve=True))

    same = configuration()
    assert configuration("trainer=cpu", "backbone.dropout=0.1", "name=other") == same
    assert configuration("datamodule.num_workers=2") == same
    assert configuration("task.estimator=logistic") != same
    assert configuration("datamodule.channels=[u,v]") != same


def test_conf_and_experiments_are_found_beside_the_package():
    assert (home() / "experiments").is_dir()
    assert isinstance(home(), Path)


def test_of_several_choices_in_a_multirun_the_first_explains_a_misspelt_key(merec):
    done = merec("train", "-m", "task=loso,baseline", "trainer.max_epoch=5")
    assert "trainer.max_epoch: trainer has no max_epoch; did you mean max_epochs?" in done.stderr


def test_roots_say_where_each_corpus_lies_and_leave_the_others_alone(composed, monkeypatch):
    monkeypatch.setenv("MEREC_DATA", "/data")
    cfg = composed("corpus=casme3", "+roots.casme3=/mine")
    assert cfg.corpus.root == "/mine"
    assert composed("corpus=samm", "+roots.casme3=/mine").corpus.root == "/data/samm"
    assert composed("corpus=synthetic", "+roots.casme3=/mine").corpus.root is None
    assert composed("corpus=megc2019", "+roots.samm=/mine").corpus.parts.samm.root == "/mine"


@pytest.mark.parametrize("sign", ["", "+"])
def test_a_renamed_key_names_its_successor(merec, sign):
    done = merec("train", f"{sign}task.least_subjects=3")
    assert done.returncode == 2
    assert "it is called min_subjects now" in done.stderr
    assert "give one less" in done.stderr


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ("fold=5", "fold=5 has no effect on LeaveOneSubjectOut, which takes folds= instead"),
        ("folds=0-1 task=finetune", "folds=0-1 has no effect on FinetuneOnce, which takes fold="),
        ("folds=0-1 task=pretrain", "folds=0-1 has no effect on Pretrain"),
        ("task.pretrain_groups=3", "is of no use without task.pretrain=contrastive"),
        ("task.transductive=true task.pretrain=macro", "without task.pretrain=contrastive or task"),
        ("task.pretrain_steps=9", "is of no use without task.pretrain=contrastive"),
        (
            "features.depth_noise=0.5",
            "without datamodule.modality=depth or datamodule.modality=fused",
        ),
        (
            "task.pretrain=contrastive task.pool.source=samples task.least_intensity=1",
            "without task.pool.source=unlabelled or task.pool.source=both",
        ),
        ("task.inner_parts=3", "task.inner_parts=3 is of no use without task.selection=inner"),
        ("task.min_subjects=3", "is of no use without task.target=action_units"),
        ("task.contrast.z=ema task.pretrain=contrastive", "without task.contrast.mode=nce"),
        (
            "task=baseline task.estimator=logistic task.estimators.rbf_svm._args_.1.C=3",
            "has no effect without task.estimator=rbf_svm; set that, or leave it out",
        ),
        ("task=baseline backbone=htnet", "backbone=… has no effect without a task that trains a"),
        (
            "corpus=megc2019_flow features.points.k=9",
            "has no effect on megc2019_flow, but on a corpus",
        ),
        ("task=baseline loss=focal", "loss=… has no effect without a task that trains a network"),
        ("task=baseline backbone.dropout=0.1", "backbone.dropout=0.1 has no effect without a task"),
    ],
)
def test_a_key_that_the_chosen_setting_never_reads_is_refused(composed, overrides, line):
    given = overrides.split()
    cfg = composed(*given)
    with pytest.raises(InputError, match=re.escape(line)):
        check(cfg, list_keys(given))
    check(cfg)  # a study or choice may set it for several tasks


@pytest.mark.parametrize(
    "overrides",
    [
        "fold=0 task=finetune",
        "folds=0",
        "folds=0-3 task=baseline",
        "corpus=megc2019_flow features.root=/a",
        "task=baseline backbone=ststnet",  # whose recipe gives flow maps where a study does not
        "task.freeze=none task.pretrain_groups=null task.transductive=false",
        "task.freeze=encoder",  # the head on random features: a control
        "task.transductive=true task.weights=/a/b.ckpt",
        "task.selection=inner task.inner_parts=3",
        "task.pretrain=contrastive task.pretrain_groups=2 task.contrast.negatives=9",
        "task=baseline task.estimator=logistic task.estimators.logistic._args_.1.C=3",
    ],
)
def test_a_key_that_is_read_is_taken(composed, overrides):
    check(composed(*overrides.split()), list_keys(overrides.split()))


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "recipe.optimizer._target_=torch.nn.Linear",
            "expected a subclass of torch.optim.Optimizer",
        ),
        ("recipe.optimizer._target_=os.system", "expected a subclass of torch.optim.Optimizer"),
        ("+recipe.scheduler._target_=os.system", "of torch.optim.lr_scheduler.LRScheduler"),
        ("loss._target_=torch.nn.ReLU", "expected a function of logits, labels and weight"),
        ("loss._target_=torch.nn.CrossEntropyLoss", "e.g. torch.nn.functional.cross_entropy"),
        ("corpus._target_=os.listdir", "expected a class or function that describes an experiment"),
        ("corpus._target_=os.path", "expected a class or a function"),
        ("backbone._target_=os.getcwd", "expected a subclass of torch.nn.Module"),
        ("trainer._target_=torch.nn.ReLU", "expected a subclass of pytorch_lightning.Trainer"),
        (
            "logger._target_=torch.nn.ReLU",
            "expected a subclass of pytorch_lightning.loggers.Logger",
        ),
        (
            "+callbacks.a._target_=torch.nn.ReLU",
            "expected a subclass of pytorch_lightning.Callback",
        ),
    ],
)
def test_a_target_of_the_wrong_kind_is_named_with_what_was_expected(composed, override, line):
    key, _, value = override.lstrip("+").partition("=")
    with pytest.raises(InputError) as caught:
        check(composed(override))
    assert f"{key} is {value}; expected" in str(caught.value)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_estimator_of_the_wrong_kind_is_refused(composed):
    key = "task.estimators.logistic._target_"
    with pytest.raises(
        InputError, match=r"is os.getcwd; expected a subclass of sklearn\.base\.Base"
    ):
        check(composed("task=baseline", f"{key}=os.getcwd"))


def test_losses_classes_and_functions_of_one_s_own_are_taken(composed, monkeypatch):
    rows = ModuleType("own")
    exec(OWN, rows.__dict__)
    monkeypatch.setitem(sys.modules, "own", rows)
    check(composed("loss._target_=own.loss"))
    check(composed("loss._target_=own.Loss", "loss._partial_=false"))
    check(composed("recipe.optimizer._target_=own.make_optimizer"))
    check(composed("recipe.optimizer._target_=torch.optim.SGD", "+recipe.optimizer.momentum=0.9"))


OWN = """
import torch

def loss(logits, label, weight):
    return logits.sum()

class Loss(torch.nn.Module):
    def forward(self, logits, label, weight):
        return logits.sum()

def make_optimizer(parameters, lr, fused):
    return torch.optim.SGD(parameters, lr=1)
"""


def test_what_is_no_callback_is_named(composed):
    with pytest.raises(InputError, match=r"callbacks\.foo=1 is no callback; name its class by"):
        check(composed("+callbacks.foo=1"))


def test_many_misfits_are_one_line_that_names_three(composed):
    with pytest.raises(InputError) as caught:
        check(composed(*(f"+backbone.{name}=1" for name in "abcde")))
    message = str(caught.value)
    assert message.startswith("the config does not fit the code: backbone.a: ")
    assert message.endswith(" | and 2 more")
    assert message.count("has no") == 3
    assert "\n" not in message


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("backbone=STSTNet", "did you mean ststnet?"),
        ("recipe.optimizer.lr=1,5e-4", "for one number write 1.5e-4"),
        ("seed=0,1", "for several runs add -m, for a list write"),
        ("recipe.optimizer._target_=torch.optim.Adamm", "did you mean torch.optim.Adam?"),
        ("--config-name=my", "give experiments=my, and leave out --config-name"),
        ("hydra.run.dir=", "hydra.run.dir= is empty"),
        ("hydra.sweep.dir=mine", "takes effect with -m only; for one run give hydra.run.dir="),
        ("hydra.sweep.subdir=mine", "takes effect with -m only; for one run give hydra.run.dir="),
        ("hydra/launcher=joblib", "hydra/launcher=joblib takes effect with -m only"),
        ("hydra.launcher.n_jobs=4", "hydra.launcher.n_jobs=4 takes effect with -m only"),
        ("-m hydra.run.dir=mine seed=0,1", "has no effect with -m, where hydra.sweep.dir="),
    ],
)
def test_what_is_nearly_right_is_one_line_that_names_the_remedy(merec, tmp_path, override, line):
    done = merec("train", *override.split(), "logger=none")
    assert done.returncode == 2
    (last,) = done.stderr.splitlines()
    assert line in last
    assert not any(tmp_path.iterdir())


def test_a_choice_that_several_types_allow_is_listed_once(composed):
    with pytest.raises(InputError, match="expected (.*)") as caught:
        check(composed("trainer.precision=halb"))
    words = str(caught.value).partition("expected ")[2].split(" or ")
    assert len(words) == len(set(words)) > 5


def test_a_cache_that_is_a_file_and_a_link_to_nothing_are_named(merec, tmp_path, monkeypatch):
    (tmp_path / "r").symlink_to("/nowhere/at/all")
    done = merec("train", "logger=none", "hydra.run.dir=r")
    assert "r is a link to /nowhere/at/all, which is not there" in done.stderr
    (tmp_path / "cache").touch()
    monkeypatch.setenv("MEREC_CACHE", "cache")
    assert "MEREC_CACHE=cache is a file" in merec("train", "logger=none").stderr
    monkeypatch.setenv("MEREC_CACHE", "$SCRATCH/cache")
    assert "$SCRATCH was not filled in" in merec("train", "logger=none").stderr
