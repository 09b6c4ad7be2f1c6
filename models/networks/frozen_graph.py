"""A TensorFlow graph without variables as a Keras layer, which is saved with its model."""

from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

import keras
import numpy as np

#: Names in a saved layer's configuration that were renamed.
_OLD_NAMES = {"given": "feature_shape", "ends": "tensor_names"}


class FrozenGraph(keras.layers.Layer):
    """Runs a serialized GraphDef on images; it needs Keras on TensorFlow.

    A graph of one image runs on the images of a batch in turn.

    The graph is stored among the weights of the model, and cannot be trained.
    """

    def __init__(
        self,
        feature_shape: Sequence[int],
        tensor_names: Sequence[str],
        graph: bytes = b"",
        **options: Any,
    ) -> None:
        """Create the layer.

        Args:
            feature_shape: The shape of its output for one image.
            tensor_names: The graph's input and output.
            graph: The GraphDef; empty until the weights of a saved model are loaded.
            options: Those of keras.layers.Layer.
        """
        super().__init__(**options)
        self.feature_shape = tuple(feature_shape)
        self.tensor_names = tuple(tensor_names)
        self.graph = graph
        self._run: Callable | None = None

    def call(self, images: Any) -> Any:
        """Return the features, float32 [batch, *feature_shape].

        Args:
            images: float32 [batch, height, width, 3].
        """
        if self._run is None:
            self._run = self._import_graph()
        features = self._run(images)
        features.set_shape((None, *self.feature_shape))
        return features

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple:
        """Return the shape of the features of a batch."""
        return (input_shape[0], *self.feature_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that create the layer, without its graph."""
        return super().get_config() | {
            "feature_shape": self.feature_shape,
            "tensor_names": self.tensor_names,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FrozenGraph":
        """Create the layer from a configuration, of an older run too."""
        return super().from_config(
            {_OLD_NAMES.get(name, name): value for name, value in config.items()}
        )

    def save_own_variables(self, store: MutableMapping[str, np.ndarray]) -> None:
        """Store the graph beside the weights of other layers."""
        store["graph"] = np.frombuffer(self.graph, np.uint8)

    def load_own_variables(self, store: MutableMapping[str, np.ndarray]) -> None:
        """Load the graph from there."""
        self.graph = np.asarray(store["graph"]).tobytes()

    def _import_graph(self) -> Callable:
        """Return the graph as a function of images."""
        import tensorflow as tf  # Keras may run on another backend.

        definition = tf.compat.v1.GraphDef.FromString(self.graph)
        input_name, output_name = self.tensor_names
        node_name = input_name.partition(":")[0]
        (placeholder,) = (node for node in definition.node if node.name == node_name)
        takes_one = placeholder.attr["shape"].shape.dim[0].size == 1

        def run_graph(images: Any) -> Any:
            inputs = {input_name: images}
            return tf.graph_util.import_graph_def(definition, inputs, [output_name], name="")[0]

        def run_one(image: Any) -> Any:
            return run_graph(image[None])[0]

        @tf.function
        def run(images: Any) -> Any:
            if takes_one and images.shape[0] != 1:
                return tf.map_fn(run_one, images, fn_output_signature=tf.float32)
            return run_graph(images)

        return run
