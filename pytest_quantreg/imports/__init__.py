"""Files that other programs wrote: lm-eval's, vLLM's and GuideLLM's output become our values."""
