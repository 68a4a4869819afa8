from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lipstream.rendering.musetalk.models.bisenet import BiSeNet, FaceParser, parser_input  # noqa: E402


def test_input_is_normalised_rgb() -> None:
    picture = np.zeros((40, 30, 3), np.uint8)
    picture[..., 0] = 255
    images = parser_input(picture)
    assert images.shape == (1, 3, 512, 512) and images.dtype == np.float32
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225]
    assert np.allclose(images.mean((0, 2, 3)), expected, atol=1e-5)


def test_labels_are_the_largest_of_nineteen() -> None:
    torch.manual_seed(0)
    network = BiSeNet()
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    labels = FaceParser(network)(picture)
    assert labels.shape == (512, 512) and labels.dtype == np.uint8 and labels.max() < 19
    with torch.inference_mode():
        logits = network(torch.from_numpy(parser_input(picture)))
    assert (logits[0].argmax(0).numpy() == labels).all()
    assert not network.training
