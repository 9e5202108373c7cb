"""What a payer agreed to at one PSP is paid at another with the card, if the issuer can be shown where they agreed."""

import asyncpg
import msgspec
import pytest
from msgspec import structs
from tests.instruments.conftest import opened
from tests.instruments.test_updates import news, told
from tests.instruments.vaulted.test_saving import kept, learned, pay

from scrooge.connectors.connector import Connector
from scrooge.domain.mandate import Mandate, Status, Use, mandate_of
from scrooge.domain.payment import Payment
from scrooge.flows import mandates
from scrooge.flows.scrooge import Scrooge
from scrooge.ids import hex_of
from scrooge.storage import payments
from scrooge.storage.directory import ConnectorAccount, Principal


async def sent(s: Scrooge, p: Payment) -> str:
    return (await payments.request_of(s.db, p.id, p.attempts[-1].id))[0].body.decode()


async def agreed(s: Scrooge, who: Principal, card: str, at: ConnectorAccount) -> Mandate:
    p = await pay(s, who, card, save_for="unscheduled", connector_account=at.id)
    assert p.attempts[0].state == "approved", p.attempts[0]
    m = await mandates.active(s, who, mandate_of(p.id))
    await learned(s)
    assert (m.connector_account, m.network_transaction_id) == (at.id, p.attempts[0].network_transaction_id)
    assert m.use is Use.UNSCHEDULED
    return m


@pytest.mark.parametrize(("first", "then"), [("stripe", "adyen"), ("adyen", "stripe")])
async def test_it_is_paid_at_another_psp_with_the_card_and_the_name_of_the_first_payment(
    first: str, then: str, s: Scrooge, who: Principal, card: str, sandbox_url: str
):
    at, elsewhere = await opened(s, who, first, sandbox_url), await opened(s, who, then, sandbox_url)
    m = await agreed(s, who, card, at)
    p = await pay(s, who, "", mandate=m.id, connector_account=elsewhere.id)
    assert p.attempts[0].state == "approved", p.attempts[0]
    assert p.attempts[0].connector_account == elsewhere.id
    body = await sent(s, p)
    if then == "adyen":
        document = msgspec.json.decode(body)
        assert document["additionalData"]["networkTxReference"] == m.network_transaction_id
        assert (document["shopperInteraction"], document["recurringProcessingModel"]) == (
            "ContAuth", "UnscheduledCardOnFile",
        )  # fmt: skip
    else:
        exempt = "payment_method_options%5Bcard%5D%5Bmit_exemption%5D%5Bnetwork_transaction_id%5D"
        assert f"{exempt}={m.network_transaction_id}" in body.replace("[", "%5B").replace("]", "%5D")
        assert "off_session=one_off" in body


async def test_where_the_payer_agreed_it_is_paid_by_the_token(
    s: Scrooge, who: Principal, card: str, adyen: ConnectorAccount
):
    m = await agreed(s, who, card, adyen)
    p = await pay(s, who, "", mandate=m.id)
    assert p.attempts[0].state == "approved"
    [token] = (await kept(s, card)).credentials
    assert msgspec.json.decode(await sent(s, p))["paymentMethod"]["storedPaymentMethodId"] == token.psp_token


async def test_without_that_name_no_other_psp_is_asked_and_the_reason_is_told(
    s: Scrooge, who: Principal, card: str, adyen: ConnectorAccount, stripe: ConnectorAccount, sql: asyncpg.Connection
):
    m = await agreed(s, who, card, adyen)
    await sql.execute("ALTER TABLE mandates DISABLE TRIGGER USER")
    await sql.execute("UPDATE mandates SET network_transaction_id = NULL WHERE id = $1", hex_of(m.id))
    await sql.execute("ALTER TABLE mandates ENABLE TRIGGER USER")
    await sql.execute("UPDATE instruments SET network_transaction_id = NULL WHERE id = $1", hex_of(card))
    p = await pay(s, who, "", mandate=m.id, connector_account=stripe.id)
    assert p.failure is not None
    assert p.failure.code == "no_route"
    assert p.failure.reasons["stripe"] == "the scheme's id of the payment in which the payer agreed is not known"
    assert not p.attempts
    assert (await pay(s, who, "", mandate=m.id)).attempts[0].state == "approved", "where they agreed, it is"


async def test_a_connector_that_cannot_name_the_consent_is_not_asked(
    s: Scrooge, who: Principal, card: str, adyen: ConnectorAccount, stripe: ConnectorAccount
):
    m = await agreed(s, who, card, adyen)
    silent: Connector = structs.replace(s.connectors["stripe"], names_consent=False)
    s.connectors = {**s.connectors, "stripe": silent}
    p = await pay(s, who, "", mandate=m.id, connector_account=stripe.id)
    assert p.failure is not None
    assert p.failure.reasons["stripe"] == "its connector cannot name the payment in which the payer agreed"
    by_card = await pay(s, who, card, initiator="merchant", connector_account=stripe.id)
    assert by_card.attempts[0].state == "approved", "without a mandate all is as before"


async def test_a_token_that_the_psp_ended_ends_what_nothing_else_can_pay_and_nothing_more(
    s: Scrooge, who: Principal, card: str, adyen: ConnectorAccount, sql: asyncpg.Connection
):
    m = await agreed(s, who, card, adyen)
    for vault, status in ((True, Status.ACTIVE), (False, Status.REVOKED)):
        if not vault:
            await sql.execute("UPDATE instruments SET card_status = 'expired' WHERE id = $1", hex_of(card))
            await sql.execute(
                "INSERT INTO credentials (bucket, instrument_id, connector_account_id, position, psp_token, psp_customer)"
                " SELECT bucket, id, $2, 0, 'stored_gone', 'user-1' FROM instruments WHERE id = $1",
                hex_of(card), hex_of(adyen.id),
            )  # fmt: skip
        [token] = (await kept(s, card)).credentials
        await sql.execute("UPDATE credentials SET psp_token = 'stored_gone' WHERE instrument_id = $1", hex_of(card))
        await told(s, sql, adyen, news("stored_gone", "recurring.token.disabled", psp_customer=token.psp_customer))
        assert (await kept(s, card)).credentials == ()
        found = await mandates.visible(s, who, m.id)
        assert found.status is status
    assert found.revoked is not None
    assert found.revoked.by == "psp"
