"""A TensorFlow graph without variables as a Keras layer, which is saved with the model that it stands in."""

import keras
import numpy as np


class FrozenGraph(keras.layers.Layer):
    """What a serialized GraphDef makes of pictures, float32 [batch, height, width, 3]: float32 [batch, *given].

    ends: the names of the tensors that it takes and gives. Its graph is kept among the model's weights, and cannot be trained.
    It takes Keras on TensorFlow.
    """

    def __init__(self, given, ends, graph=b"", **settings):
        super().__init__(**settings)
        self.given, self.ends, self.graph = tuple(given), tuple(ends), graph
        self.run = None

    def call(self, pictures):
        """Return what the graph gives for `pictures`."""
        if self.run is None:
            self.run = self._function()
        seen = self.run(pictures)
        seen.set_shape((None, *self.given))
        return seen

    def compute_output_shape(self, shape):
        """Return the shape of what it gives for pictures of `shape`."""
        return (shape[0], *self.given)

    def get_config(self):
        """Return what makes the layer, but for its graph."""
        return super().get_config() | {"given": self.given, "ends": self.ends}

    def save_own_variables(self, store):
        """Keep the graph beside the weights of other layers."""
        store["graph"] = np.frombuffer(self.graph, np.uint8)

    def load_own_variables(self, store):
        """Take the graph from there."""
        self.graph = np.asarray(store["graph"]).tobytes()

    def _function(self):
        import tensorflow as tf  # Keras may run on something else.

        definition = tf.compat.v1.GraphDef.FromString(self.graph)
        start, end = self.ends

        @tf.function
        def run(pictures):
            return tf.graph_util.import_graph_def(definition, {start: pictures}, [end], name="")[0]

        return run
