"""The order service: POST /orders, GET /orders, GET /orders/ID, PUT /orders/ID.

An order is for a user: the order service asks the user service, by way of the gateway, which
knows where its instances are.
"""

import os
import urllib.error
import urllib.request

import service


def user_exists(order):
    try:
        urllib.request.urlopen(f"{os.environ['GATEWAY_URL']}/users/{int(order['user'])}", timeout=5).close()
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise service.Refused(422, "no such user") from None
        raise service.Refused(503, "the user service has no answer") from None
    except (ValueError, TypeError):
        raise service.Refused(422, "the user is not a number") from None
    except OSError:
        raise service.Refused(503, "the gateway has no answer") from None


if __name__ == "__main__":
    service.serve("orders", ["user", "item", "quantity"], more=["status"], check=user_exists)
