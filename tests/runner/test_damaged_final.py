"""A final model of which a file is damaged or gone: the same command fits it anew."""

from collections.abc import Callable
from pathlib import Path

from runner_world import World

from tlsearch.final_files import is_sound
from tlsearch.holdout import final_folder

FILES = ("model.safetensors", "development.npz", "holdout.npz", "final.json")


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


DAMAGES: tuple[Callable[[Path], None], ...] = (flip_a_bit, empty, Path.unlink)


def folder_of(world: World) -> Path:
    with world.store() as store:
        folder = final_folder(store, "tiny")
    assert folder is not None
    return folder


def test_a_damaged_final_model_is_fitted_anew_by_the_same_command(world: World) -> None:
    few = "study.budget.trials=2"
    world.run(few)
    assert world.run(few).was_complete, "a sound one is kept"
    for name in FILES[:3]:
        flip_a_bit(folder_of(world) / name)
        assert not world.run(few).was_complete, name
        assert is_sound(folder_of(world)), name
        assert world.run(few).was_complete, name
    assert world.kinds().count("final_fitted") == 1 + 3
    assert sum(trial.counted for trial in world.trials()) == 2


def test_a_final_model_is_sound_only_where_all_of_its_files_are_whole(world: World) -> None:
    world.run("study.budget.trials=1")
    folder = folder_of(world)
    assert is_sound(folder)
    for name in FILES:
        for damage in DAMAGES[1:] if name == "final.json" else DAMAGES:
            file = folder / name
            whole = file.read_bytes()
            damage(file)
            assert not is_sound(folder), f"{name}: {damage}"
            file.write_bytes(whole)
    assert is_sound(folder)
    (folder / "final.json").write_text("[]")
    assert not is_sound(folder)
