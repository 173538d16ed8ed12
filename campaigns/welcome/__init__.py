"""欢迎语: what a customer hears right after adding a guide."""
