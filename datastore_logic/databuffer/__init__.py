"""The databuffer, as this tier asks it: one request, what its answers mean, the verbs."""
