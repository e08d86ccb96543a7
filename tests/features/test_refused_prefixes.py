"""What cannot be cached is refused with a reason, before anything of it is kept."""

import pytest
from feature_world import MakeProvider, small

from tlsearch.errors import TlsearchError
from tlsearch.features.provider import Engine


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("small_moving", r"training mode cannot be cached: 'stages\.2\.0\.layer'"),
        ("small_dropping", r"training mode cannot be cached: 'stages\.2\.0\.layer'"),
        ("small_mixing", "mixes the pictures of a batch"),
        ("small_overwriting", "stage 3 overwrites its input"),
    ],
)
def test_a_prefix_that_answers_differently_each_time_is_refused(
    make_provider: MakeProvider, engine: Engine, name: str, why: str
) -> None:
    loaded = small(name)
    before = {key: value.clone() for key, value in loaded.backbone.stages[2].state_dict().items()}
    with pytest.raises(TlsearchError, match=why):
        make_provider(loaded=loaded).views("pooled", "none")
    assert list(engine.cache.folder.iterdir()) == []
    after = loaded.backbone.stages[2].state_dict()
    assert all(after[key].equal(value) for key, value in before.items()), "and nothing was run in training mode"


def test_trainable_weights_are_refused_by_name(make_provider: MakeProvider, engine: Engine) -> None:
    loaded = small()
    provider = make_provider(loaded=loaded)
    loaded.weights[1][0].requires_grad_(True)
    with pytest.raises(TlsearchError, match=r"trainable weights cannot be cached: 'stages\.1\.0\.weight'"):
        provider.views("pooled", "none")
    assert list(engine.cache.folder.iterdir()) == []


def test_weights_that_became_trainable_later_are_refused_too(make_provider: MakeProvider) -> None:
    loaded = small()
    provider = make_provider(loaded=loaded)
    provider.views("pooled", "none")
    loaded.weights[3][0].requires_grad_(True)
    with pytest.raises(TlsearchError, match="trainable weights"):
        provider.views("pooled", "flip")


def test_a_stage_may_overwrite_what_no_cut_holds(make_provider: MakeProvider) -> None:
    provider = make_provider(loaded=small("small_overwriting"), cuts=(3,))
    assert provider.views(3, "none")[0].shape[1:] == (12, 4, 4)
