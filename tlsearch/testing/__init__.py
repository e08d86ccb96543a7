"""The plugin author's test kit: subclass a contract, name your spec, run pytest.

class TestMyNet(BackboneContract):
    spec = mynet.tlsearch_backbones()[0]

Each rule is a plain function too; it raises AssertionError with the numbers that it found.
"""

from collections.abc import Callable

from tlsearch.specs import BackboneSpec, HeadSpec
from tlsearch.testing.backbone_checks import (
    check_builds_at_the_ends_of_its_ranges,
    check_can_be_cut_anywhere,
    check_declares_its_cost,
    check_exports_to_onnx,
    check_features_are_finite_and_shaped,
    check_frozen_stages_stay_frozen,
    check_layer_names_are_unique,
    check_refuses_a_file_that_does_not_fit,
    check_same_seed_gives_the_same_network,
    check_state_survives_a_file,
)
from tlsearch.testing.head_checks import (
    check_head_exports_everywhere,
    check_head_follows_the_seed,
    check_head_gives_logits,
    check_head_learns,
)
from tlsearch.testing.support import check_import_is_light

BACKBONE_CHECKS: tuple[Callable[[BackboneSpec], None], ...] = (
    check_import_is_light,
    check_builds_at_the_ends_of_its_ranges,
    check_features_are_finite_and_shaped,
    check_declares_its_cost,
    check_can_be_cut_anywhere,
    check_frozen_stages_stay_frozen,
    check_same_seed_gives_the_same_network,
    check_state_survives_a_file,
    check_refuses_a_file_that_does_not_fit,
    check_layer_names_are_unique,
    check_exports_to_onnx,
)
HEAD_CHECKS: tuple[Callable[[HeadSpec], None], ...] = (
    check_import_is_light,
    check_head_gives_logits,
    check_head_learns,
    check_head_follows_the_seed,
    check_head_exports_everywhere,
)


class BackboneContract:
    """What every backbone must do; on random weights and the smallest pictures, in seconds."""

    spec: BackboneSpec

    def test_import_is_light(self) -> None:
        """Importing the plugin's module, in a process of its own, loads no framework."""
        check_import_is_light(self.spec)

    def test_builds_at_the_ends_of_its_ranges(self) -> None:
        """Every variant, and the lowest and highest values of the plugin's parameters, build and give features."""
        check_builds_at_the_ends_of_its_ranges(self.spec)

    def test_features_are_finite_and_shaped(self) -> None:
        """Two pictures of the smallest side become finite float32 `(2, feature_dim)`; pooling has no parameters."""
        check_features_are_finite_and_shaped(self.spec)

    def test_declares_its_cost(self) -> None:
        """`parameters` is exact, and `gmacs` is what one picture of `image_px` takes."""
        check_declares_its_cost(self.spec)

    def test_can_be_cut_anywhere(self) -> None:
        """Each stage takes one tensor, leaves it as it is, and gives the same for a copy of it, so any cut is exact."""
        check_can_be_cut_anywhere(self.spec)

    def test_frozen_stages_stay_frozen(self) -> None:
        """A training step of the later half changes neither weights nor BatchNorm statistics of the earlier."""
        check_frozen_stages_stay_frozen(self.spec)

    def test_same_seed_gives_the_same_network(self) -> None:
        """torch's global generator decides random weights: equal seeds give equal features, others do not."""
        check_same_seed_gives_the_same_network(self.spec)

    def test_state_survives_a_file(self) -> None:
        """The weights, saved as safetensors and read into another build, give the same features."""
        check_state_survives_a_file(self.spec)

    def test_refuses_a_file_that_does_not_fit(self) -> None:
        """`load` raises WeightsError for a file that holds no such weights."""
        check_refuses_a_file_that_does_not_fit(self.spec)

    def test_layer_names_are_unique(self) -> None:
        """Every stage names its layers, and no name stands twice: `freeze_until` must mean one place."""
        check_layer_names_are_unique(self.spec)

    def test_exports_to_onnx(self) -> None:
        """ONNX Runtime gives the same features, for another batch size too."""
        check_exports_to_onnx(self.spec)


class HeadContract:
    """What every head must do.

    A head with other layers than Linear, ReLU, GELU, Dropout and BatchNorm1d says so with
    `exports_everywhere = False`: it is trained one at a time, and `.keras` refuses it.
    """

    spec: HeadSpec
    exports_everywhere: bool = True

    def test_import_is_light(self) -> None:
        """Importing the plugin's module, in a process of its own, loads no framework."""
        check_import_is_light(self.spec)

    def test_gives_logits(self) -> None:
        """At both ends of its ranges a head gives finite float32 `(N, classes)`, always the same."""
        check_head_gives_logits(self.spec)

    def test_learns(self) -> None:
        """Every parameter of the head gets a gradient."""
        check_head_learns(self.spec)

    def test_follows_the_seed(self) -> None:
        """torch's global generator decides a head's weights."""
        check_head_follows_the_seed(self.spec)

    def test_exports_everywhere(self) -> None:
        """A head has only layers that every export format knows, and that can be trained many at a time."""
        if self.exports_everywhere:
            check_head_exports_everywhere(self.spec)
