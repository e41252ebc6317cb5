"""One model over the processes that torchrun starts."""
