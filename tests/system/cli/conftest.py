from running import ask, ask_beside, nothing_of_the_user

__all__ = ["ask", "ask_beside", "nothing_of_the_user"]
