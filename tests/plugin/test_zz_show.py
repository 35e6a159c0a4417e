"""x"""


def test_sub(suite):
    """x"""
    suite.test(
        """
        @pytest.mark.min_retention(0.9)
        def test_both(compare_accuracy, subtests):
            for task in ("sum", "pick"):
                with subtests.test(task):
                    compare_accuracy(task)
        """
    )
    suite.gate()


def test_mixed(suite):
    """x"""
    suite.test(
        """
        pytestmark = pytest.mark.min_retention(0.9)
        @pytest.mark.parametrize("task", ["sum", "pick"])
        def test_task(task, compare_accuracy):
            compare_accuracy(task)
        @pytest.mark.min_retention(0.99)
        def test_strict(compare_accuracy):
            compare_accuracy("sum")
        @pytest.mark.min_retention(0.9999999)
        def test_strict1(compare_accuracy):
            compare_accuracy("sum")
        def test_prose(compare_accuracy):
            compare_accuracy("prose")
        def test_nothing(compare_accuracy):
            pass
        """
    )
    suite.test(
        """
        def test_prose(compare_accuracy):
            compare_accuracy("prose")
        """,
        "test_free.py",
    )
    suite.record()
    suite.gate("-vv")
    suite.gate("--quant-gate=certify", "--color=yes")
    suite.gate("--quant-gate=point")
    suite.gate("--quant-limit=30")
