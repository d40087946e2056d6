from fractions import Fraction

import pytest

from pwoct.training.config import (
    RECIPES,
    Config,
    ConfigError,
    Schedule,
    compose,
    default_name,
    differences,
    flatten,
    parse_setting,
    validated,
)
from pwoct.training.device import settle
from pwoct.training.schedule import rate_factor


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_are_whole_and_survive_json(recipe):
    config = compose(recipe)
    assert config.recipe == recipe
    assert Config.model_validate(config.model_dump(mode="json")) == config


def test_the_paper_recipe():
    config = compose("paper")
    assert (config.optimiser.name, config.optimiser.lr, config.optimiser.momentum) == ("sgd", 0.1, 0.9)
    assert (config.optimiser.weight_decay, config.batch, config.epochs) == (1e-4, 128, 200)
    assert (config.augmentation.shift, config.augmentation.fill) == (0.1, "nearest")
    assert config.schedule.milestones == (0.5, 0.75)


def test_the_keras_recipe_drops_where_the_example_does():
    """Its rule, on epochs counted from 0: > 80, > 120, > 160, > 180."""
    config = compose("keras")
    for epoch in range(200):
        factor = 1.0
        for after, lower in ((80, 1e-1), (120, 1e-2), (160, 1e-3), (180, 0.5e-3)):
            if epoch > after:
                factor = lower
        for step in (0, 1561):  # 50,000 // 32 steps per epoch
            assert rate_factor(config.schedule, epoch * 1562 + step, 1562, 200) == factor


def test_values_beat_the_file_and_the_file_beats_the_recipe(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('recipe = "paper"\nepochs = 7\n[optimiser]\nlr = 0.5\n')
    config = compose("fast", file=file, values={"optimiser.lr": 0.25})
    assert (config.recipe, config.epochs, config.optimiser.lr) == ("paper", 7, 0.25)
    assert config.optimiser.momentum == 0.9


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epocks": 3}, "unknown key epocks: the nearest known ones are epochs, "),
        ({"foo": 3}, "unknown key foo: the nearest known ones are "),
        ({"lr": 3}, "unknown key lr: the nearest known ones are optimiser.lr, "),
        ({"optimiser.rate": 3}, r"unknown key optimiser.rate: .* are optimiser.name, optimiser.lr, "),
        ({"optimiser.lr": -1}, "^optimiser.lr must be greater than 0, got -1$"),
        ({"epochs.x": 1}, "epochs in epochs.x is not a section"),
        ({"model.alpha": 1.5}, r"model.alpha: alpha must be in \[0, 1\], got 1.5"),
        ({"model.alpha": [0, 1]}, "model.alpha must be one value or three, one per stage, got 2"),
        ({"model.paths": "HX"}, "paths must be among HH, HL, LH, LL, got 'HX'"),
        ({"model.name": "resnet21"}, r"model.name must be resnetN with N = 6n \+ 2, .*, got resnet21"),
        ({"model.name": "resnet2"}, r"model.name must be resnetN with N = 6n \+ 2, .*, got resnet2"),
        ({"model.name": "vgg"}, r"model.name must be resnetN with N = 6n \+ 2, .*, got vgg"),
        ({"model.name": 20}, r"model.name must be resnetN with N = 6n \+ 2, .*, got 20"),
        ({"schedule.milestones": [0.5]}, "1 milestones need as many factors, got 0"),
        ({"schedule.name": "steps", "schedule.milestones": [0.7, 0.5], "schedule.factors": [1, 1]}, "ascend"),
        ({"optimiser.name": "adam"}, "adam has no momentum"),
        ({"optimiser.momentum": 0}, "nesterov needs a momentum above 0"),
    ],
)
def test_a_wrong_value_names_its_key(values, message):
    with pytest.raises(ConfigError, match=message):
        compose("fast", values=values)


def test_what_is_missing_or_no_configuration_is_said():
    with pytest.raises(ConfigError, match="recipe is missing; epochs is missing; batch is missing;"):
        validated({})
    with pytest.raises(ConfigError, match=r"a configuration must be a .*, got \[\]"):
        validated([])


def test_an_unknown_recipe_is_said(tmp_path):
    with pytest.raises(ConfigError, match="recipe must be one of fast, paper, keras, got 'quick'"):
        compose("quick")
    broken = tmp_path / "broken.toml"
    broken.write_text("epochs = ")
    with pytest.raises(ConfigError, match="cannot be read as TOML"):
        compose("fast", file=broken)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epochs=3", ("epochs", 3)),
        ("model.alpha=[0.25, 0.5, 0.75]", ("model.alpha", [0.25, 0.5, 0.75])),
        ("augmentation.flip=false", ("augmentation.flip", False)),
        ("schedule.name=steps", ("schedule.name", "steps")),
        ("ema=none", ("ema", None)),
        ("model.between=none", ("model.between", "none")),
    ],
)
def test_settings(text, expected):
    assert parse_setting(text) == expected


def test_a_setting_without_a_value_is_said():
    with pytest.raises(ConfigError, match="a setting must be key=value, got 'epochs'"):
        parse_setting("epochs")


def test_ratios_and_paths_have_one_form():
    model = compose(values={"model.alpha": [0.25, "1/4", Fraction(1, 4)], "model.paths": "ll,hl"}).model
    assert model.alpha == ("1/4",)
    assert model.paths == ("HL,LL",)
    assert compose(values={"model.paths": ["HH", "", ["LL", "HL"]]}).model.paths == ("HH", "", "HL,LL")


def test_differences_are_named():
    changed = compose(values={"optimiser.lr": 1, "seed": 2})
    assert differences(compose(), changed) == ["seed", "optimiser.lr"]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, "resnet20-fast-seed0"),
        ({"model.name": "resnet56", "seed": 3}, "resnet56-fast-seed3"),
        ({"model.alpha": [0, 0.5, "1/3"]}, "resnet20-a0+0.5+1_3-fast-seed0"),
        ({"model.paths": ["HH", "", "LL"], "model.beta": 3}, "resnet20-b3-HH+none+LL-fast-seed0"),
        ({"epochs": 5, "data.dataset": "synthetic"}, "resnet20-fast-synthetic-5ep-seed0"),
    ],
)
def test_names(values, name):
    assert default_name(compose(values=values)) == name


def test_every_change_changes_the_name():
    """Any one key, another value: two configurations never share a folder by default."""
    others = {
        "model.width_rule": "in",
        "model.freeze_pointwise": True,
        "model.beta": 4,
        "optimiser.lr": 0.3,
        "batch": 64,
        "data.validation": 5000,
        "augmentation.flip": False,
        "schedule.warmup": 1,
        "machine.precision": "fp32",
        "ema": 0.9,
        "label_smoothing": 0.2,
        "seed": 1,
        "epochs": 2,
    }
    assert others.keys() <= flatten(compose()).keys()
    names = {default_name(compose(values={key: value})) for key, value in others.items()}
    assert len(names | {default_name(compose())}) == 1 + len(others)


def test_one_cycle_by_hand():
    cycle = Schedule(name="one_cycle", warmup=2)
    # 5 epochs of 2 steps: up by quarters, then down from 1 to 0 over the other 6 steps.
    expected = [1 / 4, 2 / 4, 3 / 4, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
    assert [rate_factor(cycle, step, 2, 5) for step in range(10)] == expected


def test_steps_after_a_warm_up():
    steps = Schedule(name="steps", warmup=0.5, milestones=(0.5, 0.75), factors=(0.1, 0.01))
    assert [rate_factor(steps, step, 4, 2) for step in range(8)] == [0.5, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]


def test_settling_replaces_every_auto():
    machine = settle(compose(), ranks=1).machine
    assert machine.device in ("cpu", "cuda", "mps")
    assert machine.precision in ("fp32", "bf16")
    assert machine.threads >= 1
    assert machine.ranks == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"machine.ranks": 3}, "machine.ranks is 3, but 1 were started"),
        ({"machine.device": "cpu", "machine.sync_bn": True}, "machine.sync_bn needs device cuda, got cpu"),
    ],
)
def test_what_the_machine_lacks_is_said(values, message):
    with pytest.raises(ConfigError, match=message):
        settle(compose(values=values))


@pytest.mark.parametrize("value", [float("inf"), float("nan"), float("-inf")])
@pytest.mark.parametrize(
    "key", ["schedule.warmup", "optimiser.lr", "optimiser.weight_decay", "optimiser.rest_lr"]
)
def test_no_setting_may_be_infinite(key, value):
    with pytest.raises(ConfigError, match=key.replace(".", "[.]")):
        compose("fast", values={key: value})


@pytest.mark.parametrize("recipe", ["a/../../../X", "..", ".", "", "a b", "a\n", "a" * 65, "\\"])
def test_a_recipe_of_ones_own_is_a_part_of_a_name(recipe):
    with pytest.raises(ConfigError, match="recipe"):
        compose("fast", values={"recipe": recipe})
    assert compose("fast", values={"recipe": "mine-2.1"}).recipe == "mine-2.1"


def test_a_long_name_is_shortened_and_stays_its_own():
    values = [{"model.alpha": [f"0.{k}{'1' * 90}", "1/3", f"0.{'2' * 90}"]} for k in (1, 2)]
    names = [default_name(compose("fast", values=value)) for value in values]
    assert names[0] != names[1]
    assert [len(name) for name in names] == [200, 200]
